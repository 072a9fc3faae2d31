// A packet's walk through the chains of a table, and BPF programs run on its head.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "plan/queue_spreading.hpp"
#include "walk/bpf.hpp"
#include "walk_support.hpp"

namespace nfsteer::rules {
namespace {

using core::FlowKey;

Rule rule(Target target, std::vector<Match> matches = {}) {
  Rule made;
  made.matches = std::move(matches);
  made.target = std::move(target);
  return made;
}

RuleSet one_table(std::map<std::string, Chain> chains) {
  RuleSet rules;
  Table& table = rules.tables[{Family::ipv4, TableName::nat}];
  table.chains = std::move(chains);
  table.jumps = {{BuiltIn::output, "NFSTEER"}};
  return rules;
}

const FlowKey kWeb = flow("10.0.0.10", 40000, "10.0.0.40", 80, 6);
const Dnat kFirst{address("10.0.0.1"), 0};
const Dnat kSecond{address("10.0.0.2"), 0};

std::vector<std::string> chains_of(const PacketWay& way) {
  std::vector<std::string> names;
  for (const MatchedRule& step : way.steps)
    names.push_back(step.chain);
  return names;
}

TEST(Walk, AJumpComesBackAndAGotoReturnsToWhereTheLastJumpCameFrom) {
  const RuleSet rules = one_table({{"NFSTEER", {rule(Jump{"a"}), rule(kSecond)}},
                                   {"a", {rule(Goto{"b"}), rule(kFirst)}},
                                   {"b", {rule(Return{}), rule(kFirst)}}});
  const PacketWay way = walk_rules(rules, kNat, BuiltIn::output, first_of(kWeb));
  EXPECT_EQ(chains_of(way), (std::vector<std::string>{"OUTPUT", "NFSTEER", "a", "b", "NFSTEER"}));
  ASSERT_EQ(way.ends.size(), 1U);
  EXPECT_EQ(*way.target_of(way.ends[0]), Target{kSecond});
}

TEST(Walk, ComesOutWhereNoRuleDecides) {
  const RuleSet rules = one_table({{"NFSTEER", {rule(Goto{"a"}), rule(kFirst)}}, {"a", {rule(Return{})}}});
  for (const BuiltIn hook : {BuiltIn::output, BuiltIn::prerouting}) {
    const PacketWay way = walk_rules(rules, kNat, hook, first_of(kWeb));
    ASSERT_EQ(way.ends.size(), 1U);
    EXPECT_EQ(way.target_of(way.ends[0]), nullptr);
    EXPECT_EQ(way.ends[0].probability, 1);
    EXPECT_EQ(way.steps.empty(), hook == BuiltIn::prerouting) << "no jump there";
  }
  EXPECT_TRUE(walk_rules({}, kNat, BuiltIn::output, first_of(kWeb)).steps.empty()) << "no table";
}

TEST(Walk, FollowsBothWaysOfAStatisticBranch) {
  const Statistic quarter{Statistic::kOne / 4};
  const RuleSet rules =
      one_table({{"NFSTEER", {rule(Jump{"a"}, {quarter}), rule(kFirst, {Statistic{Statistic::kOne / 2}})}},
                 {"a", {rule(kSecond, {Statistic{Statistic::kOne / 2}})}}});
  const PacketWay way = walk_rules(rules, kNat, BuiltIn::output, first_of(kWeb));
  std::map<std::string, double> shares;
  for (const PacketEnd& end : way.ends) {
    const auto* dnat = way.target_of(end) == nullptr ? nullptr : std::get_if<Dnat>(way.target_of(end));
    shares[dnat == nullptr ? "out" : dnat->address.to_string()] += end.probability;
  }
  // a: 1/4, of which half ends there and half returns; the rule behind it gets half of all that is left.
  EXPECT_DOUBLE_EQ(shares["10.0.0.2"], 1 / 8.0);
  EXPECT_DOUBLE_EQ(shares["10.0.0.1"], 7 / 16.0);
  EXPECT_DOUBLE_EQ(shares["out"], 7 / 16.0);
}

TEST(Walk, AsksConntrackAsTheKernelDoes) {
  struct Case {
    const char* property;
    Conntrack match;
    std::uint8_t states;
    bool original_direction;
    bool matches;
  };
  const Prefix vip = Prefix::host(address("10.0.0.40"));
  const std::uint8_t both = Conntrack::kNew | Conntrack::kDnat;
  const Case cases[] = {
      {"one state of the set is enough", {both, false, {}, {}, false}, Conntrack::kNew, true, true},
      {"another state", {Conntrack::kNew, false, {}, {}, false}, Conntrack::kEstablished, true, false},
      {"not: none of them", {Conntrack::kDnat, true, {}, {}, false}, Conntrack::kNew, true, true},
      {"not: one of them", {Conntrack::kDnat, true, {}, {}, false}, both, true, false},
      {"original destination", {0, false, vip, {}, false}, Conntrack::kNew, true, true},
      {"original port", {0, false, vip, PortRange{80, 90}, false}, Conntrack::kNew, true, true},
      {"another port", {0, false, vip, PortRange{81, 90}, false}, Conntrack::kNew, true, false},
      {"direction", {0, false, {}, {}, true}, Conntrack::kNew, true, true},
      {"the other direction", {0, false, {}, {}, true}, Conntrack::kNew, false, false},
  };
  for (const Case& each : cases) {
    PacketView packet = first_of(kWeb);
    packet.states = each.states;
    packet.original_direction = each.original_direction;
    packet.now.destination = flow("10.0.0.10", 0, "10.0.0.20", 0, 6).destination;
    packet.now.destination_port = 8080;
    const RuleSet rules = one_table({{"NFSTEER", {rule(kFirst, {each.match})}}});
    const PacketWay way = walk_rules(rules, kNat, BuiltIn::output, packet);
    EXPECT_EQ(way.steps.size() == 2, each.matches) << each.property;
  }
}

TEST(Walk, EntersAClientAlwaysAndFindsItWhereTheListHasIt) {
  const Recent ask{"some", 32, Recent::Act::ask, 10};
  const RuleSet rules = one_table(
      {{"NFSTEER", {rule(kFirst, {ask}), rule(kSecond, {Recent{"other", 32, Recent::Act::enter, 0}})}}});
  PacketView packet = first_of(kWeb);
  const auto target = [&] {
    const PacketWay way = walk_rules(rules, kNat, BuiltIn::output, packet);
    return *way.target_of(way.ends.at(0));
  };
  EXPECT_EQ(target(), Target{kSecond}) << "who asks nobody knows nobody";
  packet.in_list = [&](const Recent& match) { return match == ask; };
  EXPECT_EQ(target(), Target{kFirst});
}

TEST(Bpf, TheHeadOfAPacketIsWhatProgramsLookAt) {
  EXPECT_EQ(head_of(kWeb), (std::vector<std::uint8_t>{0x45, 0, 0, 0,  0,  0, 0, 0,  0,    6,    0, 0,
                                                      10,   0, 0, 10, 10, 0, 0, 40, 0x9c, 0x40, 0, 80}));
  const auto six = head_of(flow("fd00::10", 1, "fd00::40", 2, 17));
  ASSERT_EQ(six.size(), 44U);
  EXPECT_EQ((std::vector<int>{six[0], six[6], six[8], six[23], six[24], six[39], six[41], six[43]}),
            (std::vector<int>{0x60, 17, 0xfd, 0x10, 0xfd, 0x40, 1, 2}));
  EXPECT_EQ(head_of(flow("10.0.0.10", 0, "10.0.0.40", 0, 1)).size(), 20U);
}

TEST(Bpf, EveryFlowWithPortsIsOneWorkersAndNoOtherIsAny) {
  std::mt19937 random(7);
  std::vector<unsigned> taken(5);
  for (int i = 0; i < 2000; ++i) {
    const auto port = static_cast<std::uint16_t>(random());
    const FlowKey key = i % 2 == 0 ? flow(text("10.0.", i % 200, ".10"), port, "10.0.0.40", 80, 6)
                                   : flow(text("fd00::", i % 200), port, "fd00::40", 80, 17);
    unsigned matched = 0;
    for (unsigned worker = 0; worker < taken.size(); ++worker) {
      if (!matches(worker_match(key.family, 5, worker, worker + 1), head_of(key))) continue;
      ++matched;
      ++taken[worker];
    }
    EXPECT_EQ(matched, 1U);
    FlowKey ping = key;
    ping.protocol = key.family == Family::ipv4 ? 1 : 58;
    EXPECT_FALSE(matches(worker_match(key.family, 5, 0, 5), head_of(ping)));
  }
  EXPECT_GT(*std::ranges::min_element(taken), 300U) << testing::PrintToString(taken);
}

}  // namespace
}  // namespace nfsteer::rules
