// Which of conntrack's entries a change of services makes stale.
#include <netinet/in.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "config_support.hpp"
#include "control/stale_flows.hpp"

namespace nfsteer::control {
namespace {

using core::Service;
using netlink::Connection;

std::vector<Service> services(const std::string& list) {
  return config::parse("services: " + list).value().services;
}

Connection connection(std::uint8_t protocol, const std::string& vip, std::uint16_t port,
                      const std::string& backend, std::uint16_t backend_port,
                      std::uint32_t status = IPS_DST_NAT) {
  const auto put = [](const std::string& text, auto& bytes) {
    const auto address = core::IpAddress::parse(text).value();
    std::ranges::copy(address.bytes(), bytes.begin());
    return address.family();
  };
  Connection each;
  each.original.family = each.reply.family = put(vip, each.original.destination);
  put(backend, each.reply.source);
  each.original.protocol = each.reply.protocol = protocol;
  each.original.source_port = each.reply.destination_port = 40000;
  each.original.destination_port = port;
  each.reply.source_port = backend_port;
  each.status = status;
  return each;
}

const char* const kTwo =
    "[{name: dns, vip: 10.0.0.40, protocol: udp, port: 53, backends: [10.0.0.20, '10.0.0.30:5353']}]";
const char* const kOne =
    "[{name: dns, vip: 10.0.0.40, protocol: udp, port: 53, backends: ['10.0.0.30:5353,weight=0']}]";

TEST(StaleFlows, AreThoseToABackendThatIsGone) {
  const auto stale = stale_flows(services(kTwo), services(kOne));
  EXPECT_TRUE(stale(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.20", 53)));
  EXPECT_FALSE(stale(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.30", 5353)))
      << "weight 0 keeps its own";
  EXPECT_TRUE(stale(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.30", 53)))
      << "another port is another backend";
  EXPECT_FALSE(stale(connection(IPPROTO_UDP, "10.0.0.40", 54, "10.0.0.20", 54))) << "no service of ours";
  EXPECT_FALSE(stale(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.40", 53, 0))) << "not translated";
}

TEST(StaleFlows, AreThoseOfAServiceThatIsGone) {
  const auto stale = stale_flows(services(kTwo), {});
  EXPECT_TRUE(stale(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.20", 53)));
  EXPECT_FALSE(stale(connection(IPPROTO_UDP, "10.0.0.41", 53, "10.0.0.20", 53)));
}

TEST(UnboundFlows, AreThoseToAServiceThatNobodyTranslatesOrAnswers) {
  const auto unbound = unbound_flows(services(kTwo));
  EXPECT_TRUE(unbound(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.40", 53, 0)));
  EXPECT_FALSE(unbound(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.20", 53))) << "translated";
  EXPECT_FALSE(unbound(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.40", 53, IPS_SEEN_REPLY)))
      << "somebody has the VIP";
  EXPECT_FALSE(unbound(connection(IPPROTO_UDP, "10.0.0.40", 54, "10.0.0.40", 54, 0))) << "no service of ours";
}

TEST(UnboundFlows, AreAnswersOfBackendsInAnEntryOfTheirOwn) {
  const auto answer = [](std::uint8_t protocol, const std::string& backend, std::uint16_t port,
                         std::uint32_t status = 0) {
    Connection each = connection(protocol, "10.0.0.40", 53, backend, port, status);
    std::swap(each.original, each.reply);
    return each;
  };
  const auto unbound = unbound_flows(services(kTwo));
  EXPECT_TRUE(unbound(answer(IPPROTO_UDP, "10.0.0.20", 53)));
  EXPECT_TRUE(unbound(answer(IPPROTO_UDP, "10.0.0.30", 5353)));
  EXPECT_FALSE(unbound(answer(IPPROTO_UDP, "10.0.0.30", 53))) << "another port is another backend";
  EXPECT_FALSE(unbound(answer(IPPROTO_TCP, "10.0.0.20", 53))) << "no service of ours";
  EXPECT_FALSE(unbound(answer(IPPROTO_UDP, "10.0.0.50", 53)));
  for (const std::uint32_t status : {IPS_SRC_NAT, IPS_DST_NAT, IPS_SEEN_REPLY})
    EXPECT_FALSE(unbound(answer(IPPROTO_UDP, "10.0.0.20", 53, status)))
        << "what it began itself, and goes on";
  const auto wide = unbound_flows(services("[{name: all, vip: 10.0.0.40, backends: [10.0.0.20]}]"));
  EXPECT_TRUE(wide(answer(IPPROTO_UDP, "10.0.0.20", 53))) << "any protocol, any port";
}

TEST(StaleFlows, AreJudgedByTheServiceThatTakesThemNow) {
  const auto wide = services("[{name: all, vip: 10.0.0.40, backends: [10.0.0.20, 10.0.0.30]}]");
  const auto both = services(
      "[{name: all, vip: 10.0.0.40, backends: [10.0.0.20, 10.0.0.30]},"
      " {name: dns, vip: 10.0.0.40, protocol: udp, port: 53, backends: [10.0.0.30]}]");
  const auto stale = stale_flows(wide, both);
  EXPECT_TRUE(stale(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.20", 53)));
  EXPECT_FALSE(stale(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.30", 53)));
  EXPECT_FALSE(stale(connection(IPPROTO_UDP, "10.0.0.40", 54, "10.0.0.20", 54)));
  EXPECT_FALSE(stale(connection(IPPROTO_ICMP, "10.0.0.40", 0, "10.0.0.20", 40000)));
}

TEST(StaleFlows, AreNeverConnectionsThatEndByThemselves) {
  const auto stale = stale_flows(services("[{name: all, vip: 10.0.0.40, backends: [10.0.0.20, 10.0.0.30]}]"),
                                 services("[{name: all, vip: 10.0.0.40, backends: [10.0.0.30]}]"));
  for (const std::uint8_t protocol :
       std::initializer_list<std::uint8_t>{IPPROTO_TCP, IPPROTO_SCTP, IPPROTO_DCCP})
    EXPECT_FALSE(stale(connection(protocol, "10.0.0.40", 80, "10.0.0.20", 80))) << int{protocol};
  for (const std::uint8_t protocol : std::initializer_list<std::uint8_t>{IPPROTO_UDP, IPPROTO_ICMP})
    EXPECT_TRUE(stale(connection(protocol, "10.0.0.40", 80, "10.0.0.20", 80))) << int{protocol};
}

TEST(StaleFlows, OfAServiceThatResetsAreConnectionsToo) {
  const auto both = services(
      "[{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, 10.0.0.30]},"
      " {name: old, vip: 10.0.0.41, port: 80, backends: [10.0.0.20]}]");
  std::vector<Service> resetting = both;
  for (Service& each : resetting)
    each.on_backend_loss = core::OnBackendLoss::reset;
  std::vector<Service> after = resetting;
  after[0].backends.erase(after[0].backends.begin());
  after.pop_back();
  const auto to_web = [](const char* backend) {
    return connection(IPPROTO_TCP, "10.0.0.40", 80, backend, 80);
  };
  const auto to_old = connection(IPPROTO_TCP, "10.0.0.41", 80, "10.0.0.20", 80);
  const auto stale = stale_flows(resetting, after);
  EXPECT_TRUE(may_leave_stale_flows(resetting, after));
  EXPECT_TRUE(stale(to_web("10.0.0.20")));
  EXPECT_FALSE(stale(to_web("10.0.0.30")));
  EXPECT_TRUE(stale(to_old)) << "what the removed service was told counts";
  EXPECT_FALSE(stale_flows(both, {})(to_old));
}

TEST(StaleFlows, TheDrainingHoldTheirsAndThoseThatAreDownDoNot) {
  using core::BackendState;
  const auto all = services(
      "[{name: dns, vip: 10.0.0.40, protocol: udp, port: 53,"
      " backends: [10.0.0.20, 10.0.0.30, 10.0.0.31, 10.0.0.32]}]");
  core::Availability now;
  now.states = {BackendState::draining, BackendState::down, BackendState::maintenance, BackendState::standby};
  const auto held = holding(all, {now});
  ASSERT_EQ(held[0].backends.size(), 2U);
  EXPECT_EQ(held[0].backends[0], all[0].backends[0]);
  EXPECT_EQ(held[0].backends[1], all[0].backends[3]);
  now.panic = true;
  EXPECT_EQ(holding(all, {now}), all);
}

TEST(StaleFlows, OfAnEarlierEngineAreFoundWithoutKnowingItsServices) {
  const auto stale = stale_flows({}, services(kOne));
  EXPECT_TRUE(stale(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.20", 53)));
  EXPECT_FALSE(stale(connection(IPPROTO_UDP, "10.0.0.40", 53, "10.0.0.30", 5353)));
}

TEST(StaleFlows, AreLookedForOnlyWhereThereCanBeAny) {
  const auto tcp = services("[{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20]}]");
  const auto none = services("[{name: web, vip: 10.0.0.40, port: 80, backends: []}]");
  EXPECT_TRUE(may_leave_stale_flows({}, tcp)) << "of clients that asked for it before it was there";
  EXPECT_FALSE(may_leave_stale_flows(tcp, none));
  EXPECT_FALSE(may_leave_stale_flows(tcp, {}));
  EXPECT_FALSE(may_leave_stale_flows(services(kOne), services(kTwo))) << "a backend more";
  EXPECT_FALSE(may_leave_stale_flows(services(kTwo), services(kTwo)));
  EXPECT_TRUE(may_leave_stale_flows(services(kTwo), services(kOne)));
  EXPECT_TRUE(may_leave_stale_flows(services(kTwo), {}));
  EXPECT_TRUE(may_leave_stale_flows({}, services(kTwo))) << "an earlier engine's";
}

}  // namespace
}  // namespace nfsteer::control
