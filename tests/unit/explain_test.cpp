// What is said of a connection: which service, which backend, which steps. The rules that explanations name
// are planned ones; that plans are right is the matter of rules_walk_test.cpp.
#include "explain/explain.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "config_support.hpp"
#include "explain/live.hpp"
#include "plan/plan.hpp"

namespace nfsteer::explain {
namespace {

using core::AdminState;
using core::BackendState;
using core::Condition;
using core::Health;
using core::Service;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

core::FlowKey flow(const std::string& source, std::uint16_t source_port, const std::string& destination,
                   std::uint16_t destination_port, std::uint8_t protocol = IPPROTO_TCP) {
  core::FlowKey key;
  const auto from = core::IpAddress::parse(source).value();
  const auto to = core::IpAddress::parse(destination).value();
  std::ranges::copy(from.bytes(), key.source.begin());
  std::ranges::copy(to.bytes(), key.destination.begin());
  key.family = from.family();
  key.protocol = protocol;
  key.source_port = source_port;
  key.destination_port = destination_port;
  return key;
}

const core::FlowKey kWeb = flow("10.0.0.10", 40000, "10.0.0.40", 80);

// An engine's services, with what is known of their backends.
class World {
 public:
  explicit World(const std::string& list) : services(config::parse("services: " + list).value().services) {
    for (const Service& each : services)
      conditions.emplace_back(each.backends.size());
  }

  Explanation explain(const core::FlowKey& key, const ClientMemory& memory = {}) const {
    std::vector<core::Availability> availability;
    std::vector<Service> effective = services;
    for (std::size_t i = 0; i < services.size(); ++i) {
      availability.push_back(core::availability(services[i], conditions[i]));
      effective[i].backends = availability[i].backends;
    }
    const rules::RuleSet planned = rules::plan(effective, {0, 2}, {});
    return explain::explain({key, from_this_host, to_this_host}, services, availability, planned, memory);
  }

  std::vector<Service> services;
  std::vector<std::vector<Condition>> conditions;
  bool from_this_host = true;
  bool to_this_host = false;
};

std::vector<std::string> places_of(const Explanation& explanation) {
  std::vector<std::string> places;
  for (const PacketStep& each : explanation.steps)
    places.push_back((each.otherwise ? "or " : "") + each.place);
  return places;
}

// The last rule of each step that has any.
std::vector<std::string> deciding_rules(const Explanation& explanation) {
  std::vector<std::string> rules;
  for (const PacketStep& each : explanation.steps)
    if (!each.rules.empty()) rules.push_back(each.rules.back().text);
  return rules;
}

std::vector<double> probabilities(const Explanation& explanation) {
  std::vector<double> all;
  for (const BackendChance& each : explanation.backends)
    all.push_back(each.probability);
  return all;
}

TEST(Explain, SaysWhichServiceTakesItAndWhyTheOthersDoNot) {
  const World world(
      "[{name: all, vip: 10.0.0.40, backends: [10.0.0.20]},"
      " {name: tls, vip: 10.0.0.40, port: 443, backends: [10.0.0.20]},"
      " {name: dns, vip: 10.0.0.40, protocol: udp, backends: [10.0.0.20]},"
      " {name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20]},"
      " {name: other, vip: 10.0.0.41, port: 80, backends: [10.0.0.20]}]");
  const auto said = [&](const core::FlowKey& key) {
    std::vector<std::string> lines;
    for (const ServiceCandidate& each : world.explain(key).candidates)
      lines.push_back(each.name + (each.takes ? "! " : ": ") + each.reason);
    return lines;
  };
  EXPECT_THAT(
      said(kWeb),
      ElementsAre("tls: it takes port 443 only", "web! protocol and port are its own",
                  "dns: it takes udp only",
                  "all: it takes every protocol and port of the VIP, but web is more specific: a port "
                  "goes before a protocol, a protocol before any"));
  EXPECT_THAT(
      said(flow("10.0.0.10", 1, "10.0.0.40", 53, IPPROTO_UDP)),
      ElementsAre("tls: it takes tcp only", "web: it takes tcp only",
                  "dns! it takes every port of this protocol",
                  "all: it takes every protocol and port of the VIP, but dns is more specific: a port "
                  "goes before a protocol, a protocol before any"));
  EXPECT_EQ(world.explain(flow("10.0.0.10", 0, "10.0.0.40", 0, IPPROTO_ICMP)).service->name, "all");
}

TEST(Explain, WhatNoServiceTakesHasNoSteps) {
  const World world("[{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20]}]");
  const Explanation other_port = world.explain(flow("10.0.0.10", 1, "10.0.0.40", 81));
  EXPECT_FALSE(other_port.service);
  EXPECT_EQ(other_port.candidates.size(), 1U);
  EXPECT_THAT(other_port.steps, IsEmpty());
  EXPECT_THAT(world.explain(flow("10.0.0.10", 1, "10.0.0.41", 80)).candidates, IsEmpty());
}

TEST(Explain, ChancesAreTheEffectiveWeights) {
  World world(
      "[{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, '10.0.0.21:8080,weight=3', "
      "'10.0.0.22,weight=0']}]");
  EXPECT_THAT(probabilities(world.explain(kWeb)), ElementsAre(0.25, 0.75, 0));
  EXPECT_EQ(world.explain(kWeb).backends[0].port, 80);
  EXPECT_EQ(world.explain(kWeb).backends[1].port, 8080);
  EXPECT_EQ(world.explain(kWeb).backends[2].reason, "weight 0: no new connections");
  EXPECT_FALSE(world.explain(kWeb).choice);

  world.conditions[0][0].fill = 0.5;
  const Explanation filling = world.explain(kWeb);
  EXPECT_DOUBLE_EQ(filling.backends[0].probability, 0.5 / 3.5);
  EXPECT_THAT(filling.backends[0].reason, HasSubstr("slow start"));

  world.conditions[0][1].health = Health::down;
  const Explanation only = world.explain(kWeb);
  EXPECT_THAT(probabilities(only), ElementsAre(1, 0, 0));
  EXPECT_EQ(only.backends[1].reason, "its health checks fail");
  EXPECT_EQ(only.choice->backend, 0U);
}

TEST(Explain, EveryStateThatTakesNothingHasItsReason) {
  World world("[{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, 10.0.0.21]}]");
  struct Case {
    BackendState state;
    const char* reason;
  };
  const auto explain_with = [&](BackendState state) {
    core::Backend& backend = world.services[0].backends[1];
    backend.state = state == BackendState::draining      ? AdminState::drain
                    : state == BackendState::maintenance ? AdminState::maintenance
                                                         : AdminState::active;
    backend.backup = state == BackendState::standby;
    world.conditions[0][1].health = state == BackendState::down       ? Health::down
                                    : state == BackendState::starting ? Health::unknown
                                                                      : Health::up;
    return world.explain(kWeb);
  };
  for (const Case& each :
       {Case{BackendState::draining, "drained: nothing new, its open connections go on"},
        Case{BackendState::maintenance, "in maintenance: nothing new, no health checks"},
        Case{BackendState::standby, "a backup, and another backend can be used"},
        Case{BackendState::down, "its health checks fail"},
        Case{BackendState::starting, "new: its first good health check is still to come"}}) {
    const Explanation explanation = explain_with(each.state);
    EXPECT_EQ(explanation.backends[1].state, each.state);
    EXPECT_EQ(explanation.backends[1].reason, each.reason);
    EXPECT_EQ(explanation.backends[1].probability, 0);
  }
}

TEST(Explain, PanicAndBackupsInUseAreSaid) {
  World world("[{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, 10.0.0.21]}]");
  world.services[0].health = core::HealthCheck{};
  world.services[0].health->panic_threshold = 60;
  world.conditions[0][1].health = Health::down;
  const Explanation panic = world.explain(kWeb);
  EXPECT_THAT(panic.notes, ElementsAre(HasSubstr("panic: less than 60%")));
  EXPECT_THAT(panic.backends[1].reason, HasSubstr("panic, all are used"));
  EXPECT_THAT(probabilities(panic), ElementsAre(0.5, 0.5));

  world.services[0].health->panic_threshold = 0;
  world.services[0].backends[0].backup = true;
  const Explanation backup = world.explain(kWeb);
  EXPECT_THAT(backup.notes, ElementsAre(HasSubstr("backups are used")));
  EXPECT_THAT(probabilities(backup), ElementsAre(1, 0));
}

TEST(Explain, ARememberedClientGoesWhereItWent) {
  World world(
      "[{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, '10.0.0.21:8080', '10.0.0.22:8081']}]");
  world.services[0].affinity = core::Affinity{};
  ClientMemory memory;
  memory.choice = [](const Service& service, const core::FlowKey& key) -> std::optional<CertainChoice> {
    EXPECT_EQ(service.name, "web");
    EXPECT_EQ(key, kWeb);
    return CertainChoice{1, "affinity: its last connection went there"};
  };
  const Explanation unlisted = world.explain(kWeb, memory);
  ASSERT_TRUE(unlisted.choice);
  EXPECT_EQ(unlisted.choice->backend, 1U);
  EXPECT_THAT(unlisted.notes, ElementsAre(HasSubstr("affinity: a client (/32)")));
  EXPECT_THAT(unlisted.steps[1].text, HasSubstr("it chooses 10.0.0.21:8080 (affinity: its last"));
  const auto dnats = [](const PacketStep& step) {
    return std::ranges::count_if(
        step.rules, [](const AppliedRule& each) { return each.text.find("DNAT") != std::string::npos; });
  };
  EXPECT_THAT(unlisted.steps[2].rules.back().text, HasSubstr("-d 10.0.0.21/32"));
  EXPECT_EQ(std::ranges::count_if(
                unlisted.steps[2].rules,
                [](const AppliedRule& each) { return each.text.find("NETMAP") != std::string::npos; }),
            1);
  EXPECT_EQ(dnats(unlisted.steps[3]), 3) << "the kernel does not know the client";

  memory.in_list = [](const rules::Recent& match, const core::IpAddress& client) {
    EXPECT_EQ(client, kWeb.source_address());
    return match.list.find("10.0.0.21") != std::string::npos;
  };
  const Explanation listed = world.explain(kWeb, memory);
  EXPECT_EQ(dnats(listed.steps[3]), 1);
  EXPECT_THAT(listed.steps[3].rules.back().text, HasSubstr("--to-destination 10.0.0.21:8080"));
  EXPECT_THAT(listed.steps[3].text, HasSubstr("affinity: the kernel has the client in the list"));
}

TEST(Explain, WithAffinityEachBackendHasItsBindingRule) {
  World world("[{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, '10.0.0.21,weight=3']}]");
  world.services[0].affinity = core::Affinity{};
  const Explanation explanation = world.explain(kWeb);
  EXPECT_FALSE(explanation.choice);
  std::vector<double> shares;
  for (const AppliedRule& each : explanation.steps[2].rules)
    if (each.text.find("NETMAP") != std::string::npos) shares.push_back(each.probability);
  EXPECT_THAT(shares, ElementsAre(0.25, 0.75));
}

TEST(Explain, StepsOfEachModeInThePacketsOrder) {
  World world("[{name: web, vip: 10.0.0.40, port: 80, masquerade: true, backends: [10.0.0.20, 10.0.0.21]}]");
  const auto places = [&](core::Mode mode) {
    world.services[0].mode = mode;
    return places_of(world.explain(kWeb));
  };
  EXPECT_THAT(places(core::Mode::dnat), ElementsAre("nat OUTPUT", "nat POSTROUTING", "conntrack"));
  EXPECT_THAT(places(core::Mode::connection), ElementsAre("mangle OUTPUT", "engine", "nat OUTPUT",
                                                          "or nat OUTPUT", "nat POSTROUTING", "conntrack"));
  for (const core::Mode mode : {core::Mode::inspect, core::Mode::rewrite})
    EXPECT_THAT(places(mode), ElementsAre("mangle OUTPUT", "engine", "nat OUTPUT", "or nat OUTPUT",
                                          "nat POSTROUTING", "mangle OUTPUT", "conntrack"));
  world.from_this_host = false;
  EXPECT_THAT(places(core::Mode::connection),
              ElementsAre("mangle PREROUTING", "engine", "nat PREROUTING", "or nat PREROUTING",
                          "nat POSTROUTING", "conntrack"));
}

TEST(Explain, RulesAreTheKernelsWithTheProbabilityOfEach) {
  const World world(
      "[{name: web, vip: 10.0.0.40, port: 80, mode: dnat, backends: [10.0.0.20, "
      "'10.0.0.21:8080,weight=3']}]");
  const Explanation explanation = world.explain(kWeb);
  ASSERT_EQ(explanation.steps.size(), 2U);
  const auto& rules = explanation.steps[0].rules;
  ASSERT_EQ(rules.size(), 4U);
  EXPECT_EQ(rules[0].text, "-A OUTPUT -j NFSTEER");
  EXPECT_THAT(rules[1].text,
              HasSubstr("-A NFSTEER -d 10.0.0.40/32 -p tcp -m tcp --dport 80 -m comment --comment web -g "));
  EXPECT_THAT(
      rules[2].text,
      HasSubstr("-m statistic --mode random --probability 0.25000000000 -j DNAT --to-destination 10.0.0.20"));
  EXPECT_THAT(rules[3].text, HasSubstr("-p tcp -j DNAT --to-destination 10.0.0.21:8080"));
  EXPECT_EQ(rules[1].probability, 1);
  EXPECT_EQ(rules[2].probability, 0.25);
  EXPECT_EQ(rules[3].probability, 0.75);
}

TEST(Explain, EachPortOfTheBackendsHasItsBindingRule) {
  const World world(
      "[{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, '10.0.0.21:8080,weight=3', "
      "'10.0.0.22:8080']}]");
  const std::vector<AppliedRule> rules = world.explain(kWeb).steps[2].rules;
  ASSERT_EQ(rules.size(), 3U);
  EXPECT_EQ(rules[0].probability, 1);
  EXPECT_THAT(rules[1].text, HasSubstr("--dport 80 "));
  EXPECT_DOUBLE_EQ(rules[1].probability, 0.2);
  EXPECT_EQ(rules[1].note, "");
  EXPECT_THAT(rules[2].text, HasSubstr("--dport 8080 "));
  EXPECT_DOUBLE_EQ(rules[2].probability, 0.8);
  EXPECT_THAT(rules[2].note, HasSubstr("port 8080"));
}

TEST(Explain, WithoutABackendItSaysWhatBecomesOfThePacket) {
  World world("[{name: web, vip: 10.0.0.40, port: 80, backends: ['10.0.0.20,weight=0']}]");
  const auto explain_with = [&](core::OnNoBackend choice) {
    world.services[0].on_no_backend = choice;
    return world.explain(kWeb);
  };
  const Explanation reject = explain_with(core::OnNoBackend::reject);
  EXPECT_THAT(reject.no_backend, HasSubstr("reject"));
  EXPECT_THAT(places_of(reject), ElementsAre("mangle OUTPUT", "engine", "filter OUTPUT"));
  EXPECT_THAT(deciding_rules(reject).back(), HasSubstr("-j REJECT --reject-with tcp-reset"));

  const Explanation drop = explain_with(core::OnNoBackend::drop);
  EXPECT_THAT(places_of(drop), ElementsAre("mangle OUTPUT", "engine", "or filter OUTPUT"));
  EXPECT_THAT(drop.steps[1].text, HasSubstr("drops"));
  EXPECT_THAT(deciding_rules(drop).back(), HasSubstr("-j DROP"));

  const Explanation pass = explain_with(core::OnNoBackend::pass);
  EXPECT_THAT(places_of(pass), ElementsAre("mangle OUTPUT", "engine", "VIP"));

  world.from_this_host = false;
  EXPECT_EQ(places_of(explain_with(core::OnNoBackend::reject)).back(), "filter FORWARD");
  world.to_this_host = true;
  EXPECT_EQ(places_of(explain_with(core::OnNoBackend::reject)).back(), "filter INPUT");
}

TEST(Explain, AServiceKeepsItsPacketsFromAWiderOneAndSaysSo) {
  const World world(
      "[{name: all, vip: 10.0.0.40, masquerade: true, backends: [10.0.0.20]},"
      " {name: web, vip: 10.0.0.40, port: 80, mode: dnat, backends: [10.0.0.21]}]");
  const Explanation explanation = world.explain(kWeb);
  EXPECT_THAT(places_of(explanation),
              ElementsAre("mangle OUTPUT", "nat OUTPUT", "nat POSTROUTING", "conntrack"));
  EXPECT_THAT(deciding_rules(explanation),
              ElementsAre(HasSubstr("--comment web -j RETURN"), HasSubstr("--to-destination 10.0.0.21"),
                          HasSubstr("--comment web -j RETURN")));
}

TEST(Explain, JsonSaysAllOfIt) {
  const World world(
      "[{name: web, vip: 10.0.0.40, port: 80, backends: ['10.0.0.20:8080', '10.0.0.21,weight=3']}]");
  const boost::json::value json = to_json(world.explain(kWeb));
  const auto text = [&](const char* pointer) { return std::string(json.at_pointer(pointer).as_string()); };
  EXPECT_EQ(text("/protocol"), "tcp");
  EXPECT_EQ(text("/source"), "10.0.0.10:40000");
  EXPECT_EQ(text("/destination"), "10.0.0.40:80");
  EXPECT_EQ(text("/service"), "web");
  EXPECT_EQ(text("/mode/name"), "connection");
  EXPECT_EQ(text("/backends/0/address"), "10.0.0.20");
  EXPECT_EQ(json.at_pointer("/backends/0/port").to_number<int>(), 8080);
  EXPECT_EQ(json.at_pointer("/backends/1/probability").to_number<double>(), 0.75);
  EXPECT_EQ(text("/steps/0/place"), "mangle OUTPUT");
  EXPECT_EQ(text("/steps/0/rules/0/rule"), "-A OUTPUT -j NFSTEER");
  EXPECT_TRUE(json.at_pointer("/choice").is_null());
  EXPECT_TRUE(json.at_pointer("/no_backend").is_null());

  const boost::json::value none = to_json(world.explain(flow("fd00::10", 1, "fd00::40", 80)));
  EXPECT_TRUE(none.at_pointer("/service").is_null());
  EXPECT_EQ(std::string(none.at_pointer("/source").as_string()), "[fd00::10]:1");
  EXPECT_FALSE(none.as_object().contains("steps"));
}

// --- live connections
// ---------------------------------------------------------------------------------------------

netlink::Connection connection(const core::FlowKey& original, const std::string& backend, std::uint16_t port,
                               std::uint32_t status = IPS_DST_NAT | IPS_SEEN_REPLY) {
  netlink::Connection each;
  each.original = original;
  each.reply =
      flow(backend, port, original.source_address().to_string(), original.source_port, original.protocol);
  each.status = status;
  if (original.protocol == IPPROTO_TCP) each.tcp_state = netlink::TcpState::established;
  return each;
}

TEST(ExplainLive, NamesTheBackendByAddressAndPort) {
  const World world(
      "[{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, '10.0.0.20:8080', 10.0.0.30]}]");
  const Explanation explanation = world.explain(kWeb);
  const auto live = [&](const netlink::Connection& each) { return explain_live(explanation, {each}).at(0); };
  EXPECT_EQ(live(connection(kWeb, "10.0.0.20", 8080)).backend, 1U);
  EXPECT_EQ(live(connection(kWeb, "10.0.0.30", 80)).backend, 2U);
  EXPECT_EQ(live(connection(kWeb, "10.0.0.30", 80)).text, "it goes to 10.0.0.30:80, a backend of web");
  EXPECT_EQ(live(connection(kWeb, "10.0.0.30", 8080)).backend, std::nullopt);
  EXPECT_EQ(live(connection(kWeb, "10.0.0.31", 80)).text,
            "it goes to 10.0.0.31:80, which is no backend of web now");
  const LiveConnection untranslated = live(connection(kWeb, "10.0.0.40", 80, 0));
  EXPECT_EQ(untranslated.backend, std::nullopt);
  EXPECT_THAT(untranslated.text, HasSubstr("not translated"));
}

TEST(ExplainLive, JsonTellsStateAndIdentifier) {
  const World world("[{name: all, vip: 10.0.0.40, backends: [10.0.0.20]}]");
  const core::FlowKey ping = flow("10.0.0.10", 4711, "10.0.0.40", 0, IPPROTO_ICMP);
  const core::FlowKey dns = flow("10.0.0.10", 4711, "10.0.0.40", 53, IPPROTO_UDP);
  const auto json = to_json(explain_live(
      world.explain(kWeb), {connection(kWeb, "10.0.0.20", 80), connection(ping, "10.0.0.20", 4711),
                            connection(dns, "10.0.0.20", 53, IPS_DST_NAT)}));
  ASSERT_EQ(json.size(), 3U);
  EXPECT_EQ(json[0].at("state").as_string(), "ESTABLISHED");
  EXPECT_EQ(json[0].at("port").to_number<int>(), 80);
  EXPECT_EQ(json[0].at("client_seen_as").as_string(), "10.0.0.10");
  EXPECT_FALSE(json[0].as_object().contains("identifier"));
  EXPECT_EQ(json[1].at("state").as_string(), "REPLIED");
  EXPECT_EQ(json[1].at("port").to_number<int>(), 0);
  EXPECT_EQ(json[1].at("identifier").to_number<int>(), 4711);
  EXPECT_EQ(json[2].at("state").as_string(), "UNREPLIED");
  EXPECT_FALSE(json[2].at("answered").as_bool());
}

}  // namespace
}  // namespace nfsteer::explain
