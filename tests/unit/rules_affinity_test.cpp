// How clients find the backend of their last connection again, by rules alone.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plan/affinity.hpp"
#include "plan/plan.hpp"
#include "render/render.hpp"
#include "rules_support.hpp"
#include "walk/walk.hpp"
#include "walk_support.hpp"

namespace nfsteer::rules {
namespace {

using core::Mode;
using core::Protocol;
using core::Service;

Service affine(Service service, std::uint8_t ipv4_prefix = 32, std::uint8_t ipv6_prefix = 128) {
  service.affinity = core::Affinity{std::chrono::seconds(60), ipv4_prefix, ipv6_prefix};
  return service;
}

// Rules of the nat table that speak of clients, with chains by what leads to them.
std::vector<std::string> recent_rules(const Service& service) {
  const RuleSet rules = plan(std::vector{service}, kOneWorker, {});
  const Family family = service.vip.family();
  std::vector<std::string> lines;
  for (const auto& [name, chain] : rules.tables.at({family, TableName::nat}).chains)
    for (const Rule& rule : chain)
      if (std::ranges::any_of(rule.matches, [](const Match& m) { return std::holds_alternative<Recent>(m); }))
        lines.push_back(render("X", rule, family).substr(5));
  std::ranges::sort(lines);
  return lines;
}

TEST(Affinity, ClientsAreEnteredWhereverTheyAreGivenABackendAndAskedForBeforeTheLadder) {
  const Service four =
      affine(service("web", "10.0.0.40", Protocol::tcp, 80, Mode::dnat,
                     {backend("10.0.0.20", 8080), backend("10.0.0.30", 0, 3), backend("10.0.0.31", 0, 0)}),
             24);
  EXPECT_EQ(recent_rules(four),
            (std::vector<std::string>{
                "-d 10.0.0.20/32 -p tcp -m tcp --dport 8080 -m recent --set --name "
                "nfsteer-web-10.0.0.20-8080-24 --mask 255.255.255.0 --rsource -m comment --comment web -j "
                "NETMAP --to 0.0.0.0/0",
                "-d 10.0.0.30/32 -p tcp -m tcp --dport 80 -m recent --set --name "
                "nfsteer-web-10.0.0.30-80-24 --mask 255.255.255.0 --rsource -m comment --comment web -j "
                "NETMAP --to 0.0.0.0/0",
                "-m recent --set --name nfsteer-web-10.0.0.30-80-24 --mask 255.255.255.0 --rsource -j DNAT "
                "--to-destination 10.0.0.30",
                "-m recent --update --seconds 60 --reap --name nfsteer-web-10.0.0.30-80-24 --mask "
                "255.255.255.0 --rsource -j DNAT --to-destination 10.0.0.30",
                "-p tcp -m recent --update --seconds 60 --reap --name nfsteer-web-10.0.0.20-8080-24 --mask "
                "255.255.255.0 --rsource -j DNAT --to-destination 10.0.0.20:8080",
                "-p tcp -m statistic --mode random --probability 0.25000000000 -m recent --set --name "
                "nfsteer-web-10.0.0.20-8080-24 --mask 255.255.255.0 --rsource -j DNAT --to-destination "
                "10.0.0.20:8080",
            }));
  const Service six =
      affine(service("six", "fd00::40", Protocol::any, 0, Mode::connection, {backend("fd00::20")}), 24, 60);
  EXPECT_EQ(recent_rules(six),
            (std::vector<std::string>{
                "-d fd00::20/128 -m recent --set --name nfsteer-six-fd00::20-0-60 --mask "
                "ffff:ffff:ffff:fff0:: --rsource -m comment --comment six -j NETMAP --to ::/0",
                "-m recent --set --name nfsteer-six-fd00::20-0-60 --mask ffff:ffff:ffff:fff0:: --rsource -j "
                "DNAT --to-destination fd00::20",
                "-m recent --update --seconds 60 --reap --name nfsteer-six-fd00::20-0-60 --mask "
                "ffff:ffff:ffff:fff0:: --rsource -j DNAT --to-destination fd00::20",
            }));
}

TEST(Affinity, TheRulesOfOtherServicesAreTheSameBesideIt) {
  const Service plain =
      service("plain", "10.0.0.41", Protocol::tcp, 80, Mode::connection, {backend("10.0.0.20")});
  const auto own = [&](const std::vector<Service>& services) {
    std::vector<std::string> lines;
    const RuleSet rules = plan(services, kOneWorker, {});
    for (const auto& [id, table] : rules.tables)
      for (const auto& [name, chain] : table.chains)
        for (const Rule& rule : chain)
          if (const std::string line = render(name, rule, id.family); line.find("plain") != line.npos)
            lines.push_back(line);
    return lines;
  };
  Service web = service("web", "10.0.0.40", Protocol::tcp, 80, Mode::connection,
                        {backend("10.0.0.20"), backend("10.0.0.30")});
  EXPECT_EQ(own({plain, affine(web)}), own({plain, web}));
}

TEST(Affinity, NoTwoBackendsShareAListAndAllNamesAreFitForProc) {
  std::set<std::string> names;
  std::size_t backends = 0;
  for (const char* name : {"web", "web-10.0.0.20", "web-10.0.0.20-80", "web-1", "80"})
    for (const std::uint16_t port : std::initializer_list<std::uint16_t>{80, 8080, 0})
      for (const std::uint8_t prefix : std::initializer_list<std::uint8_t>{24, 32})
        for (const char* at : {"10.0.0.2", "10.0.0.20", "10.0.0.200"}) {
          const Service each = affine(
              service(name, "10.0.0.40", Protocol::tcp, 8000, Mode::dnat, {backend(at, port)}), prefix);
          const std::string list = affinity_list(each, each.backends[0]);
          EXPECT_EQ(list.find('/'), list.npos);
          names.insert(list);
          ++backends;
        }
  EXPECT_EQ(names.size(), backends);
  const Service longest = affine(service(std::string(63, 'x'), "fd00::40", Protocol::tcp, 8000, Mode::dnat,
                                         {backend("2001:db8:1111:2222:3333:4444:5555:6666", 65535)}));
  EXPECT_LT(affinity_list(longest, longest.backends[0]).size(), 200U);
}

// --- the way of a packet
// ----------------------------------------------------------------------------------------------

// `count` backends of the weights 0, 1, 2, 0, 1, ... on ports 8000, 8001, ...
Service service_with(std::size_t count) {
  Service web = affine(service("web", "10.0.0.40", Protocol::tcp, 80, Mode::connection, {}));
  for (std::size_t i = 0; i < count; ++i)
    web.backends.push_back(backend(text("10.1.", i / 250, '.', i % 250 + 1),
                                   static_cast<std::uint16_t>(8000 + i % 3),
                                   static_cast<std::uint32_t>(i % 3)));
  return web;
}

PacketView packet_to(const char* destination, std::uint16_t port) {
  PacketView packet;
  packet.now.protocol = 6;
  packet.now.destination_port = port;
  std::ranges::copy(address(destination).bytes(), packet.now.destination.begin());
  packet.original = packet.now;
  return packet;
}

// What the way does to a client: the lists it is entered into before the end.
std::set<std::string> entered(const PacketWay& way, const PacketEnd& end) {
  std::set<std::string> lists;
  for (const Match& match : way.steps[*end.step].rule.matches)
    if (const auto* recent = std::get_if<Recent>(&match);
        recent != nullptr && recent->act != Recent::Act::ask)
      lists.insert(recent->list);
  return lists;
}

class AffinityWay : public testing::TestWithParam<std::size_t> {
 protected:
  Service web = service_with(GetParam());
  RuleSet rules = plan(std::vector{web}, kOneWorker, {});
};

// What the ladder enters a client into is what finds it again.
TEST_P(AffinityWay, WhomTheLadderPlacesComesBackToTheSameBackend) {
  const PacketView client = packet_to("10.0.0.40", 80);
  const PacketWay first = walk_rules(rules, kNat, BuiltIn::prerouting, client);
  std::map<std::string, double> shares;
  double weights = 0;
  for (const core::Backend& each : web.backends)
    weights += each.weight;
  for (const PacketEnd& end : first.ends) {
    const auto& dnat = std::get<Dnat>(*first.target_of(end));
    const std::set<std::string> lists = entered(first, end);
    shares[dnat.address.to_string()] += end.probability * weights;
    PacketView again = client;
    again.in_list = [&](const Recent& asked) { return lists.contains(asked.list) && asked.seconds == 60; };
    const PacketWay second = walk_rules(rules, kNat, BuiltIn::prerouting, again);
    ASSERT_EQ(second.ends.size(), 1U);
    EXPECT_EQ(std::get<Dnat>(*second.target_of(second.ends[0])), dnat);
    EXPECT_EQ(entered(second, second.ends[0]), lists) << "seen now, everywhere";
    EXPECT_LE(second.steps.size(), 6U) << "rules that match: jumps, the group, the backend";
  }
  for (const core::Backend& each : web.backends)
    EXPECT_NEAR(shares[each.address.to_string()], each.weight, 1e-4);
}

TEST_P(AffinityWay, WhomTheEngineSteersIsEnteredAndComesBackByTheLadder) {
  for (const core::Backend& each : web.backends) {
    PacketView steered = packet_to("10.0.0.40", 80);
    steered.now = packet_to(each.address.to_string().c_str(), each.port).now;
    const PacketWay way = walk_rules(rules, kNat, BuiltIn::output, steered);
    ASSERT_EQ(way.ends.size(), 1U);
    EXPECT_EQ(std::get<Netmap>(*way.target_of(way.ends[0])).port, each.port);
    const std::set<std::string> lists = entered(way, way.ends[0]);
    EXPECT_EQ(lists.contains(affinity_list(web, each)), each.weight > 0);
    if (each.weight == 0) continue;
    PacketView again = packet_to("10.0.0.40", 80);
    again.in_list = [&](const Recent& asked) { return lists.contains(asked.list); };
    const PacketWay second = walk_rules(rules, kNat, BuiltIn::output, again);
    EXPECT_EQ(std::get<Dnat>(*second.target_of(second.ends[0])).address, each.address);
  }
}

TEST_P(AffinityWay, AClientThatWasMovedIsNotHeldUpByTheGroupItWasIn) {
  const core::Backend& now =
      web.backends[web.backends.size() - 1].weight > 0 ? web.backends.back() : web.backends[1];
  const std::string list = affinity_list(web, now);
  PacketView client = packet_to("10.0.0.40", 80);
  client.in_list = [&](const Recent& asked) { return asked.act == Recent::Act::ask || asked.list == list; };
  const PacketWay way = walk_rules(rules, kNat, BuiltIn::prerouting, client);
  ASSERT_EQ(way.ends.size(), 1U);
  EXPECT_EQ(std::get<Dnat>(*way.target_of(way.ends[0])).address, now.address);
}

INSTANTIATE_TEST_SUITE_P(OfBackends, AffinityWay,
                         testing::Values(2, 5, kAffinityListMax, kAffinityListMax + 1, 300));

// The rules that a client passes that nobody knows, and their tests by name.
TEST(Affinity, ManyBackendsAreAskedInGroups) {
  for (const std::size_t count : {kAffinityListMax, std::size_t{600}}) {
    const Service web = service_with(count);
    const RuleSet rules = plan(std::vector{web}, kOneWorker, {});
    std::size_t asked = 0;
    PacketView client = packet_to("10.0.0.40", 80);
    client.in_list = [&](const Recent&) { return ++asked, false; };
    walk_rules(rules, kNat, BuiltIn::prerouting, client);
    EXPECT_LE(asked, count <= kAffinityListMax ? kAffinityListMax : kAffinityGroups);
    EXPECT_GT(asked, 20U);
  }
}

// A backend that comes, goes or is down for a while leaves the others where they are.
TEST(Affinity, GroupsAreTheSameInEveryPlan) {
  const auto groups = [](const Service& web) {
    std::map<std::string, std::string> of;
    const RuleSet rules = plan(std::vector{web}, kOneWorker, {});
    for (const auto& [name, chain] : rules.tables.at(kNat).chains)
      for (const Rule& rule : chain) {
        std::vector<std::string> lists;
        for (const Match& match : rule.matches)
          if (const auto* recent = std::get_if<Recent>(&match)) lists.push_back(recent->list);
        if (lists.size() == 2) of[lists[0]] = lists[1];
      }
    return of;
  };
  const Service before = service_with(300);
  Service after = before;
  after.backends[1].weight = 0;
  after.backends.erase(after.backends.begin() + 100);
  after.backends.push_back(backend("10.9.9.9"));
  const auto old = groups(before);
  EXPECT_EQ(old.size(), 200U);
  for (const auto& [list, group] : groups(after)) {
    const auto found = old.find(list);
    EXPECT_EQ(found == old.end() ? group : found->second, group) << list;
  }
}

}  // namespace
}  // namespace nfsteer::rules
