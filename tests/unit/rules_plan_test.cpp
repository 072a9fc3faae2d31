// The rules of small sets of services as text, and what has to hold for every plan.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plan/chain_names.hpp"
#include "plan/plan.hpp"
#include "render/render.hpp"
#include "rules_support.hpp"

namespace nfsteer::rules {
namespace {

using core::Mode;
using core::OnNoBackend;
using core::Protocol;
using core::Service;

// Chain names end in a hash; tables of text are easier to read without.
std::string without_hashes(std::string text) {
  const std::string digits = "0123456789abcdef";
  for (std::size_t at = 0; (at = text.find('-', at)) != std::string::npos; ++at) {
    if (at + 7 > text.size() || (at + 7 < text.size() && text[at + 7] != ' ' && text[at + 7] != '\n'))
      continue;
    const std::string word = text.substr(at + 1, 6);
    if (word.find_first_not_of(digits) == std::string::npos) text.replace(at, 7, "-#");
  }
  return text;
}

struct PlanCase {
  const char* property;
  std::vector<Service> services;
  PlanOptions options;
  Family family;
  const char* expected;
};

Service with(Service service, bool masquerade, OnNoBackend choice) {
  service.masquerade = masquerade;
  service.on_no_backend = choice;
  return service;
}

std::vector<PlanCase> plan_cases() {
  const auto two = std::vector{backend("10.0.0.20"), backend("10.0.0.30", 0, 3)};
  return {
      {"ConnectionModeQueuesFirstPacketsOnly",
       {service("web", "10.0.0.40", Protocol::tcp, 80, Mode::connection, two)},
       {},
       Family::ipv4,
       "*mangle\n"
       ":NFSTEER - [0:0]\n"
       ":NFSTEER-Q-first - [0:0]\n"
       "-A PREROUTING -j NFSTEER\n"
       "-A OUTPUT -j NFSTEER\n"
       "-A NFSTEER -d 10.0.0.40/32 -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -m conntrack ! "
       "--ctstate DNAT "
       "-m comment --comment web -g NFSTEER-Q-first\n"
       "-A NFSTEER-Q-first -j NFQUEUE --queue-num 0 --queue-bypass\n"
       "COMMIT\n"
       "*nat\n"
       ":NFSTEER - [0:0]\n"
       ":NFSTEER-web-# - [0:0]\n"
       "-A PREROUTING -j NFSTEER\n"
       "-A OUTPUT -j NFSTEER\n"
       "-A NFSTEER ! -d 10.0.0.40/32 -p tcp -m conntrack --ctorigdst 10.0.0.40 --ctorigdstport 80 "
       "-m comment --comment web -j NETMAP --to 0.0.0.0/0\n"
       "-A NFSTEER -d 10.0.0.40/32 -p tcp -m tcp --dport 80 -m comment --comment web -g NFSTEER-web-#\n"
       "-A NFSTEER-web-# -m statistic --mode random --probability 0.25000000000 -j DNAT --to-destination "
       "10.0.0.20\n"
       "-A NFSTEER-web-# -j DNAT --to-destination 10.0.0.30\n"
       "COMMIT\n"},
      {"WithoutQueueingTheLadderStays",
       {service("web", "10.0.0.40", Protocol::any, 0, Mode::rewrite, {backend("10.0.0.20")})},
       {.queueing = false, .spread_by_port = true},
       Family::ipv4,
       "*nat\n"
       ":NFSTEER - [0:0]\n"
       ":NFSTEER-web-# - [0:0]\n"
       "-A PREROUTING -j NFSTEER\n"
       "-A OUTPUT -j NFSTEER\n"
       "-A NFSTEER ! -d 10.0.0.40/32 -m conntrack --ctorigdst 10.0.0.40 -m comment --comment web "
       "-j NETMAP --to 0.0.0.0/0\n"
       "-A NFSTEER -d 10.0.0.40/32 -m comment --comment web -g NFSTEER-web-#\n"
       "-A NFSTEER-web-# -j DNAT --to-destination 10.0.0.20\n"
       "COMMIT\n"},
      {"LaterPacketsHaveAGroupOfTheirOwn",
       {service("seen", "fd00::40", Protocol::udp, 53, Mode::inspect, {backend("fd00::20", 5353)})},
       {.queueing = true, .spread_by_port = false},
       Family::ipv6,
       "*mangle\n"
       ":NFSTEER - [0:0]\n"
       ":NFSTEER-Q-first - [0:0]\n"
       ":NFSTEER-Q-inspect - [0:0]\n"
       "-A PREROUTING -j NFSTEER\n"
       "-A OUTPUT -j NFSTEER\n"
       "-A NFSTEER -d fd00::40/128 -p udp -m udp --dport 53 -m conntrack --ctstate NEW -m conntrack ! "
       "--ctstate DNAT "
       "-m comment --comment seen -g NFSTEER-Q-first\n"
       "-A NFSTEER -d fd00::40/128 -p udp -m udp --dport 53 -m conntrack --ctstate NEW,ESTABLISHED --ctdir "
       "ORIGINAL "
       "-m comment --comment seen -g NFSTEER-Q-inspect\n"
       "-A NFSTEER-Q-first -j NFQUEUE --queue-num 0 --queue-bypass\n"
       "-A NFSTEER-Q-inspect -j NFQUEUE --queue-num 1 --queue-bypass\n"
       "COMMIT\n"
       "*nat\n"
       ":NFSTEER - [0:0]\n"
       ":NFSTEER-seen-# - [0:0]\n"
       "-A PREROUTING -j NFSTEER\n"
       "-A OUTPUT -j NFSTEER\n"
       "# the next rule also binds port 5353, which iptables cannot show\n"
       "-A NFSTEER ! -d fd00::40/128 -p udp -m conntrack --ctorigdst fd00::40 --ctorigdstport 53 "
       "-m udp --dport 5353 -m comment --comment seen -j NETMAP --to ::/0\n"
       "-A NFSTEER -d fd00::40/128 -p udp -m udp --dport 53 -m comment --comment seen -g NFSTEER-seen-#\n"
       "-A NFSTEER-seen-# -p udp -j DNAT --to-destination [fd00::20]:5353\n"
       "COMMIT\n"},
      {"EachBackendPortIsBoundOnceAndWeightZeroBackendsToo",
       {service("web", "10.0.0.40", Protocol::tcp, 80, Mode::dnat,
                {backend("10.0.0.20", 8080), backend("10.0.0.21", 8080), backend("10.0.0.30"),
                 backend("10.0.0.31", 8081, 0)})},
       {},
       Family::ipv4,
       "*nat\n"
       ":NFSTEER - [0:0]\n"
       ":NFSTEER-web-# - [0:0]\n"
       "-A PREROUTING -j NFSTEER\n"
       "-A OUTPUT -j NFSTEER\n"
       "-A NFSTEER ! -d 10.0.0.40/32 -p tcp -m conntrack --ctorigdst 10.0.0.40 --ctorigdstport 80 "
       "-m tcp --dport 80 -m comment --comment web -j NETMAP --to 0.0.0.0/0\n"
       "# the next rule also binds port 8080, which iptables cannot show\n"
       "-A NFSTEER ! -d 10.0.0.40/32 -p tcp -m conntrack --ctorigdst 10.0.0.40 --ctorigdstport 80 "
       "-m tcp --dport 8080 -m comment --comment web -j NETMAP --to 0.0.0.0/0\n"
       "# the next rule also binds port 8081, which iptables cannot show\n"
       "-A NFSTEER ! -d 10.0.0.40/32 -p tcp -m conntrack --ctorigdst 10.0.0.40 --ctorigdstport 80 "
       "-m tcp --dport 8081 -m comment --comment web -j NETMAP --to 0.0.0.0/0\n"
       "-A NFSTEER -d 10.0.0.40/32 -p tcp -m tcp --dport 80 -m comment --comment web -g NFSTEER-web-#\n"
       "-A NFSTEER-web-# -p tcp -m statistic --mode random --probability 0.33333333349 "
       "-j DNAT --to-destination 10.0.0.20:8080\n"
       "-A NFSTEER-web-# -p tcp -m statistic --mode random --probability 0.50000000000 "
       "-j DNAT --to-destination 10.0.0.21:8080\n"
       "-A NFSTEER-web-# -j DNAT --to-destination 10.0.0.30\n"
       "COMMIT\n"},
      {"NoUsableBackendRejectsAndKeepsTheBinding",
       {service("a.b", "10.0.0.40", Protocol::any, 0, Mode::dnat, {backend("10.0.0.20", 0, 0)})},
       {},
       Family::ipv4,
       "*nat\n"
       ":NFSTEER - [0:0]\n"
       "-A PREROUTING -j NFSTEER\n"
       "-A OUTPUT -j NFSTEER\n"
       "-A NFSTEER ! -d 10.0.0.40/32 -m conntrack --ctorigdst 10.0.0.40 -m comment --comment \"a.b\" "
       "-j NETMAP --to 0.0.0.0/0\n"
       "COMMIT\n"
       "*filter\n"
       ":NFSTEER - [0:0]\n"
       "-A INPUT -j NFSTEER\n"
       "-A FORWARD -j NFSTEER\n"
       "-A OUTPUT -j NFSTEER\n"
       "-A NFSTEER -d 10.0.0.40/32 -p tcp -m conntrack --ctstate NEW -m comment --comment \"a.b\" "
       "-j REJECT --reject-with tcp-reset\n"
       "-A NFSTEER -d 10.0.0.40/32 -m conntrack --ctstate NEW -m comment --comment \"a.b\" "
       "-j REJECT --reject-with icmp-port-unreachable\n"
       "COMMIT\n"},
      {"NoUsableBackendMayDropOrPass",
       {with(service("drop", "fd00::40", Protocol::sctp, 9, Mode::dnat, {}), false, OnNoBackend::drop),
        with(service("pass", "fd00::41", Protocol::tcp, 80, Mode::dnat, {}), false, OnNoBackend::pass)},
       {},
       Family::ipv6,
       "*nat\n"
       ":NFSTEER - [0:0]\n"
       "-A PREROUTING -j NFSTEER\n"
       "-A OUTPUT -j NFSTEER\n"
       "-A NFSTEER ! -d fd00::40/128 -p sctp -m conntrack --ctorigdst fd00::40 --ctorigdstport 9 "
       "-m comment --comment drop -j NETMAP --to ::/0\n"
       "-A NFSTEER ! -d fd00::41/128 -p tcp -m conntrack --ctorigdst fd00::41 --ctorigdstport 80 "
       "-m comment --comment pass -j NETMAP --to ::/0\n"
       "COMMIT\n"
       "*filter\n"
       ":NFSTEER - [0:0]\n"
       "-A INPUT -j NFSTEER\n"
       "-A FORWARD -j NFSTEER\n"
       "-A OUTPUT -j NFSTEER\n"
       "-A NFSTEER -d fd00::40/128 -p sctp -m sctp --dport 9 -m conntrack --ctstate NEW "
       "-m comment --comment drop -j DROP\n"
       "COMMIT\n"},
      {"MasqueradeTouchesOnlyItsService",
       {with(service("web", "10.0.0.40", Protocol::tcp, 80, Mode::dnat, {backend("10.0.0.20")}), true,
             OnNoBackend::reject),
        service("dns", "10.0.0.41", Protocol::udp, 53, Mode::dnat, {backend("10.0.0.20")})},
       {},
       Family::ipv4,
       "*nat\n"
       ":NFSTEER - [0:0]\n"
       ":NFSTEER-MASQ - [0:0]\n"
       ":NFSTEER-dns-# - [0:0]\n"
       ":NFSTEER-web-# - [0:0]\n"
       "-A PREROUTING -j NFSTEER\n"
       "-A OUTPUT -j NFSTEER\n"
       "-A POSTROUTING -j NFSTEER-MASQ\n"
       "-A NFSTEER ! -d 10.0.0.40/32 -p tcp -m conntrack --ctorigdst 10.0.0.40 --ctorigdstport 80 "
       "-m comment --comment web -j NETMAP --to 0.0.0.0/0\n"
       "-A NFSTEER -d 10.0.0.40/32 -p tcp -m tcp --dport 80 -m comment --comment web -g NFSTEER-web-#\n"
       "-A NFSTEER ! -d 10.0.0.41/32 -p udp -m conntrack --ctorigdst 10.0.0.41 --ctorigdstport 53 "
       "-m comment --comment dns -j NETMAP --to 0.0.0.0/0\n"
       "-A NFSTEER -d 10.0.0.41/32 -p udp -m udp --dport 53 -m comment --comment dns -g NFSTEER-dns-#\n"
       "-A NFSTEER-MASQ -p tcp -m conntrack --ctstate DNAT --ctorigdst 10.0.0.40 --ctorigdstport 80 "
       "-m comment --comment web -j MASQUERADE\n"
       "-A NFSTEER-dns-# -j DNAT --to-destination 10.0.0.20\n"
       "-A NFSTEER-web-# -j DNAT --to-destination 10.0.0.20\n"
       "COMMIT\n"},
      {"FamiliesAreApart",
       {service("web", "10.0.0.40", Protocol::tcp, 80, Mode::dnat, {backend("10.0.0.20")})},
       {},
       Family::ipv6,
       ""},
  };
}

TEST(Plan, IsAsTheTableSays) {
  for (const PlanCase& c : plan_cases()) {
    SCOPED_TRACE(c.property);
    EXPECT_EQ(without_hashes(render(plan(c.services, kOneWorker, c.options), c.family)), c.expected);
  }
}

TEST(Plan, DoesNotDependOnTheOrderOfServices) {
  std::vector<Service> services;
  for (const PlanCase& c : plan_cases()) {
    for (Service service : c.services) {
      service.name += std::to_string(services.size());
      service.vip = address(text("10.1.0.", services.size() / 2));
      service.protocol = services.size() % 2 == 0 ? Protocol::tcp : Protocol::udp;
      service.port = 80;
      for (auto& b : service.backends)
        b.address = address("10.0.0.20");
      services.push_back(service);
    }
  }
  const RuleSet forwards = plan(services, {0, 20}, {});
  std::reverse(services.begin(), services.end());
  EXPECT_EQ(plan(services, {0, 20}, {}), forwards);
}

TEST(Plan, NothingOfNoServices) {
  EXPECT_EQ(plan({}, kOneWorker, {}), RuleSet{});
}

// What takes a packet to 10.0.0.40 in the mangle, nat and filter tables where several services share that
// VIP.
struct ShadowCase {
  const char* property;
  Mode port_mode, tcp_mode, any_mode;
  Walker packet;
  const char* queue;  // the queue chain it goes to; empty: none
};

TEST(Plan, TheMostSpecificServiceDecidesWhatIsQueued) {
  const core::IpAddress vip = address("10.0.0.40");
  const Walker first_web{vip, vip, Protocol::tcp, 80, 80};
  const Walker later_web{vip, vip, Protocol::tcp, 80, 80, Conntrack::kEstablished | Conntrack::kDnat};
  const Walker first_ssh{vip, vip, Protocol::tcp, 22, 22};
  const Walker later_ssh{vip, vip, Protocol::tcp, 22, 22, Conntrack::kEstablished | Conntrack::kDnat};
  const Walker first_dns{vip, vip, Protocol::udp, 53, 53};
  const Walker later_dns{vip, vip, Protocol::udp, 53, 53, Conntrack::kNew | Conntrack::kDnat};
  Walker reply_dns = later_dns;
  reply_dns.original_direction = false;
  const ShadowCase cases[] = {
      {"dnat port under connection any", Mode::dnat, Mode::dnat, Mode::connection, first_web, ""},
      {"dnat port under rewrite any", Mode::dnat, Mode::connection, Mode::rewrite, later_web, ""},
      {"connection port under rewrite any", Mode::connection, Mode::dnat, Mode::rewrite, first_web,
       "NFSTEER-Q-first"},
      {"its later packets", Mode::connection, Mode::dnat, Mode::rewrite, later_web, ""},
      {"dnat tcp under inspect any", Mode::rewrite, Mode::dnat, Mode::inspect, first_ssh, ""},
      {"rewrite port keeps to its group", Mode::rewrite, Mode::dnat, Mode::inspect, later_web,
       "NFSTEER-Q-rewrite"},
      {"connection tcp under inspect any", Mode::dnat, Mode::connection, Mode::inspect, later_ssh, ""},
      {"other protocols meet any", Mode::dnat, Mode::dnat, Mode::inspect, first_dns, "NFSTEER-Q-first"},
      {"one-way udp is bound, not first", Mode::dnat, Mode::dnat, Mode::inspect, later_dns,
       "NFSTEER-Q-inspect"},
      {"replies are not queued", Mode::dnat, Mode::dnat, Mode::inspect, reply_dns, ""},
      {"bound connections are not first", Mode::dnat, Mode::dnat, Mode::connection, later_dns, ""},
  };
  for (const ShadowCase& c : cases) {
    SCOPED_TRACE(c.property);
    const std::vector services{
        service("any", "10.0.0.40", Protocol::any, 0, c.any_mode, {backend("10.0.0.20")}),
        service("tcp", "10.0.0.40", Protocol::tcp, 0, c.tcp_mode, {backend("10.0.0.20")}),
        service("web", "10.0.0.40", Protocol::tcp, 80, c.port_mode, {backend("10.0.0.20")})};
    const RuleSet rules = plan(services, kOneWorker, {});
    const Table& mangle = rules.tables.at({Family::ipv4, TableName::mangle});
    const Walk way =
        walk(mangle, "NFSTEER", c.packet, [](const auto& chain) { return chain.starts_with("NFSTEER-Q-"); });
    const auto* queue = way.target ? std::get_if<Goto>(&*way.target) : nullptr;
    EXPECT_EQ(queue != nullptr ? queue->chain : "", c.queue);
  }
}

TEST(Plan, TheMostSpecificServiceTakesAndMasqueradesTheConnection) {
  const core::IpAddress vip = address("10.0.0.40");
  auto any = service("any", "10.0.0.40", Protocol::any, 0, Mode::dnat, {backend("10.0.0.20")});
  any.masquerade = true;
  const auto web = service("web", "10.0.0.40", Protocol::tcp, 80, Mode::dnat, {backend("10.0.0.30")});
  auto empty = service("empty", "10.0.0.40", Protocol::tcp, 81, Mode::dnat, {});
  empty.on_no_backend = OnNoBackend::pass;
  const RuleSet rules = plan(std::vector{any, web, empty}, kOneWorker, {});
  const Table& nat = rules.tables.at({Family::ipv4, TableName::nat});

  const Target to_any = Dnat{address("10.0.0.20"), 0};
  const Target to_web = Dnat{address("10.0.0.30"), 0};
  EXPECT_EQ(walk(nat, "NFSTEER", {vip, vip, Protocol::tcp, 80, 80}).target, to_web);
  EXPECT_EQ(walk(nat, "NFSTEER", {vip, vip, Protocol::tcp, 22, 22}).target, to_any);
  EXPECT_EQ(walk(nat, "NFSTEER", {vip, vip, Protocol::udp, 80, 80}).target, to_any);
  EXPECT_EQ(walk(nat, "NFSTEER", {vip, vip, Protocol::tcp, 81, 81}).target, Target{Return{}});

  auto leaving = [&](std::uint16_t port) {
    return Walker{address("10.0.0.30"), vip, Protocol::tcp, port, port, Conntrack::kNew | Conntrack::kDnat};
  };
  EXPECT_EQ(walk(nat, "NFSTEER-MASQ", leaving(80)).target, Target{Return{}});
  EXPECT_EQ(walk(nat, "NFSTEER-MASQ", leaving(22)).target, Target{Masquerade{}});
  EXPECT_EQ(rules.tables.count({Family::ipv4, TableName::filter}), 0U);
}

TEST(Plan, ASteeredPacketIsBoundByItsServiceWhateverThePortItCarries) {
  const core::IpAddress vip = address("10.0.0.40");
  const core::IpAddress to = address("10.0.0.20");
  const auto web = service("web", "10.0.0.40", Protocol::tcp, 80, Mode::connection,
                           {backend("10.0.0.20", 8080), backend("10.0.0.21"), backend("10.0.0.22", 8081)});
  const auto any = service("any", "10.0.0.40", Protocol::any, 0, Mode::connection, {backend("10.0.0.20")});
  const RuleSet rules = plan(std::vector{web, any}, kOneWorker, {});
  const Table& nat = rules.tables.at({Family::ipv4, TableName::nat});
  for (auto [now, bound] : {std::pair{8080, 8080}, {8081, 8081}, {80, 0}}) {
    const Walk way = walk(nat, "NFSTEER", {to, vip, Protocol::tcp, static_cast<std::uint16_t>(now), 80});
    EXPECT_EQ(way.target, (Target{Netmap{static_cast<std::uint16_t>(bound)}})) << now;
    EXPECT_EQ(way.comment, "web");
  }
  const Walk other = walk(nat, "NFSTEER", {to, vip, Protocol::udp, 80, 80});
  EXPECT_EQ(other.target, Target{Netmap{0}});
  EXPECT_EQ(other.comment, "any");
  EXPECT_FALSE(walk(nat, "NFSTEER", {to, to, Protocol::tcp, 80, 80}).target) << "an address that is no VIP";
}

TEST(ChainNames, AreShortUniqueAndStable) {
  ChainNames names;
  std::set<std::string> seen;
  for (int i = 0; i < 20000; ++i) {
    const std::string name = names.make("a-service-with-a-rather-long-name", text("service ", i));
    EXPECT_LE(name.size(), kChainNameMax);
    EXPECT_TRUE(name.starts_with("NFSTEER-a-service-"));
    EXPECT_TRUE(seen.insert(name).second) << name;
  }
  EXPECT_NE(names.make("web", "one identity"), names.make("web", "one identity")) << "hashes that collide";
  ChainNames again;
  EXPECT_EQ(again.make("web", "ladder web"), ChainNames().make("web", "ladder web"));
}

}  // namespace
}  // namespace nfsteer::rules
