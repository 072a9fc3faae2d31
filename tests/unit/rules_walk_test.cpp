// Walking planned rules with a packet, and with the walk: what plans do to packets is what the specification
// says, for configurations that nobody thought of.
#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "core/snapshot.hpp"
#include "plan/queue_spreading.hpp"
#include "rules_support.hpp"
#include "walk/bpf.hpp"
#include "walk/walk.hpp"

namespace nfsteer::rules {
namespace {

using core::FlowKey;
using core::Mode;
using core::OnNoBackend;
using core::Protocol;
using core::Service;

FlowKey flow(std::string_view source, std::uint16_t source_port, std::string_view destination,
             std::uint16_t destination_port, std::uint8_t protocol) {
  FlowKey key;
  std::ranges::copy(address(source).bytes(), key.source.begin());
  std::ranges::copy(address(destination).bytes(), key.destination.begin());
  key.family = address(source).family();
  key.source_port = source_port;
  key.destination_port = destination_port;
  key.protocol = protocol;
  return key;
}

PacketView first_of(const FlowKey& key) {
  return {key, key, Conntrack::kNew, true};
}

std::string comment_of(const Rule& rule) {
  for (const Match& match : rule.matches)
    if (const auto* comment = std::get_if<Comment>(&match)) return comment->text;
  return {};
}

// The last comment on the way to the first end.
std::string comment_of(const PacketWay& way) {
  std::string comment;
  for (const MatchedRule& step : way.steps)
    if (const std::string here = comment_of(step.rule); !here.empty()) comment = here;
  return comment;
}

// --- the walk itself
// ----------------------------------------------------------------------------------------------

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

constexpr TableId kNat{Family::ipv4, TableName::nat};
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

// --- random configurations against the specification
// ----------------------------------------------------------------

class RandomPlan {
 public:
  explicit RandomPlan(unsigned seed) : random_(seed) {
    const unsigned vips = 1 + below(12);
    std::set<std::tuple<core::IpAddress, Protocol, std::uint16_t>> scopes;
    const unsigned count = 1 + below(30);
    for (unsigned i = 0; i < count; ++i) {
      const bool v4 = below(2) == 0;
      constexpr Protocol kProtocols[] = {Protocol::any, Protocol::tcp, Protocol::udp, Protocol::sctp};
      const Protocol protocol = kProtocols[below(4)];
      const bool has_port = protocol != Protocol::any && below(3) > 0;
      Service each = service(text("s", i), vip(v4, below(vips)), protocol,
                             has_port ? port() : std::uint16_t{0}, static_cast<Mode>(below(4)), {});
      if (!scopes.insert({each.vip, each.protocol, each.port}).second) continue;
      each.masquerade = below(4) == 0;
      each.on_no_backend = static_cast<OnNoBackend>(below(3));
      const unsigned backends = below(5) == 0 ? 0 : 1 + below(below(4) == 0 ? 40 : 4);
      for (unsigned b = 0; b < backends; ++b)
        each.backends.push_back(backend(text(v4 ? "10.2.0." : "fd02::", b + 1),
                                        has_port && below(2) == 0 ? port() : std::uint16_t{0},
                                        below(4) == 0 ? 0 : 1 + below(5)));
      services.push_back(std::move(each));
    }
    layout = {static_cast<std::uint16_t>(below(100)), static_cast<std::uint16_t>(1 + below(12))};
    by_port = below(4) > 0;
    rules = plan(services, layout, {.spread_by_port = by_port});
  }

  FlowKey flow_of_some_kind() {
    const bool v4 = below(2) == 0;
    constexpr std::uint8_t kProtocols[] = {6, 17, 132, 1};
    std::uint8_t protocol = kProtocols[below(4)];
    if (protocol == 1 && !v4) protocol = 58;
    const bool has_ports = protocol != 1 && protocol != 58;
    return flow(text(v4 ? "10.1.0." : "fd01::", 1 + below(200)),
                static_cast<std::uint16_t>(has_ports ? 1 + below(65535) : 0), vip(v4, below(14)),
                has_ports ? port() : std::uint16_t{0}, protocol);
  }

  unsigned below(unsigned limit) { return static_cast<unsigned>(random_()) % limit; }

  std::vector<Service> services;
  core::QueueLayout layout;
  bool by_port = true;
  RuleSet rules;

 private:
  std::uint16_t port() { return static_cast<std::uint16_t>(80 + below(12)); }
  static std::string vip(bool v4, unsigned number) { return text(v4 ? "10.9.0." : "fd09::", number + 1); }

  std::mt19937 random_;
};

const Service* taker_of(const core::Snapshot& snapshot, const FlowKey& key) {
  const core::SteeredService* found = snapshot.find(key);
  return found == nullptr ? nullptr : &found->service;
}

class PlanProperties {
 public:
  PlanProperties(const RandomPlan& plan, const FlowKey& key, const Service* taker)
      : plan_(plan), key_(key), taker_(taker) {}

  void check() const {
    check_first_packet_in_mangle();
    check_later_packets_in_mangle();
    check_ladder();
    check_binding();
    check_no_backend();
    check_masquerade();
  }

 private:
  PacketWay walk(TableName table, BuiltIn hook, const PacketView& packet) const {
    const PacketWay way = walk_rules(plan_.rules, {key_.family, table}, hook, packet);
    double sum = 0;
    for (const PacketEnd& end : way.ends)
      sum += end.probability;
    EXPECT_NEAR(sum, 1, 1e-9);
    return way;
  }

  // The verdict of a way without branches; null: came out.
  static const Target* verdict_of(const PacketWay& way) {
    EXPECT_EQ(way.ends.size(), 1U);
    return way.target_of(way.ends[0]);
  }

  void expect_queue(const PacketWay& way, core::QueueGroup group) const {
    const Target* target = verdict_of(way);
    ASSERT_NE(target, nullptr);
    ASSERT_TRUE(std::holds_alternative<Nfqueue>(*target));
    const auto& queue = std::get<Nfqueue>(*target);
    EXPECT_EQ(plan_.layout.group_of(queue.first), group);
    EXPECT_EQ(comment_of(way), taker_->name);
    const bool is_spread = key_.source_port != 0 && plan_.by_port;
    EXPECT_EQ(queue.count, is_spread ? 1 : plan_.layout.workers);
  }

  void check_first_packet_in_mangle() const {
    for (const BuiltIn hook : {BuiltIn::prerouting, BuiltIn::output}) {
      const PacketWay way = walk(TableName::mangle, hook, first_of(key_));
      if (taker_ != nullptr && taker_->mode != Mode::dnat) {
        expect_queue(way, core::QueueGroup::first);
      } else {
        EXPECT_EQ(verdict_of(way), nullptr);
      }
    }
  }

  void check_later_packets_in_mangle() const {
    constexpr std::uint8_t kBound[] = {Conntrack::kNew | Conntrack::kDnat,
                                       Conntrack::kEstablished | Conntrack::kDnat};
    for (const std::uint8_t states : kBound) {
      PacketView packet = first_of(key_);
      packet.states = states;
      const PacketWay way = walk(TableName::mangle, BuiltIn::prerouting, packet);
      if (taker_ != nullptr && (taker_->mode == Mode::inspect || taker_->mode == Mode::rewrite)) {
        expect_queue(way,
                     taker_->mode == Mode::inspect ? core::QueueGroup::inspect : core::QueueGroup::rewrite);
      } else {
        EXPECT_EQ(verdict_of(way), nullptr);
      }
    }
  }

  void check_ladder() const {
    const PacketWay way = walk(TableName::nat, BuiltIn::output, first_of(key_));
    if (taker_ == nullptr || !taker_->has_usable_backend()) {
      EXPECT_EQ(verdict_of(way), nullptr);
      return;
    }
    std::map<std::pair<std::string, std::uint16_t>, double> expected;
    double sum = 0;
    for (const core::Backend& each : taker_->backends)
      sum += each.weight;
    for (const core::Backend& each : taker_->backends)
      if (each.weight > 0) expected[{each.address.to_string(), taker_->port_at(each)}] += each.weight / sum;
    for (const PacketEnd& end : way.ends) {
      ASSERT_NE(way.target_of(end), nullptr);
      ASSERT_TRUE(std::holds_alternative<Dnat>(*way.target_of(end)));
      const auto& dnat = std::get<Dnat>(*way.target_of(end));
      expected[{dnat.address.to_string(), dnat.port != 0 ? dnat.port : taker_->port}] -= end.probability;
    }
    for (const auto& [at, difference] : expected)
      EXPECT_NEAR(difference, 0, 1e-8) << at.first << ' ' << at.second;
  }

  void check_binding() const {
    if (taker_ == nullptr) return;
    for (const core::Backend& each : taker_->backends) {
      PacketView packet = first_of(key_);
      packet.now.destination = {};
      std::ranges::copy(each.address.bytes(), packet.now.destination.begin());
      const std::uint16_t port = taker_->port_at(each);
      if (port != 0) packet.now.destination_port = port;
      const PacketWay way = walk(TableName::nat, BuiltIn::prerouting, packet);
      const Target* target = verdict_of(way);
      ASSERT_NE(target, nullptr);
      EXPECT_EQ(*target, Target{Netmap{port == taker_->port ? std::uint16_t{0} : port}});
      EXPECT_EQ(comment_of(way), taker_->name);
    }
  }

  void check_no_backend() const {
    for (const BuiltIn hook : {BuiltIn::input, BuiltIn::forward, BuiltIn::output}) {
      const PacketWay way = walk(TableName::filter, hook, first_of(key_));
      const Target* target = verdict_of(way);
      if (taker_ == nullptr || taker_->has_usable_backend() || taker_->on_no_backend == OnNoBackend::pass) {
        EXPECT_EQ(target, nullptr);
      } else if (taker_->on_no_backend == OnNoBackend::drop) {
        ASSERT_NE(target, nullptr);
        EXPECT_EQ(*target, Target{Drop{}});
      } else {
        ASSERT_NE(target, nullptr);
        const auto with = key_.protocol == 6 ? Reject::With::tcp_reset : Reject::With::port_unreachable;
        EXPECT_EQ(*target, Target{Reject{with}});
      }
    }
  }

  void check_masquerade() const {
    PacketView packet = first_of(key_);
    packet.states = Conntrack::kNew | Conntrack::kDnat;
    const Target* target = verdict_of(walk(TableName::nat, BuiltIn::postrouting, packet));
    EXPECT_EQ(target != nullptr, taker_ != nullptr && taker_->masquerade);
  }

  const RandomPlan& plan_;
  const FlowKey& key_;
  const Service* taker_;
};

TEST(PlannedRules, DoToEveryPacketWhatItsServiceSays) {
  unsigned taken = 0;
  for (unsigned seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(text("seed ", seed));
    RandomPlan random(seed);
    std::vector<core::SteeredService> steered;
    std::uint32_t slots = 0;
    for (const Service& each : random.services) {
      steered.push_back({each, nullptr, 0, {}});
      for (std::size_t b = 0; b < each.backends.size(); ++b)
        steered.back().backend_slots.push_back(slots++);
    }
    const core::Snapshot snapshot(std::move(steered));
    for (int i = 0; i < 60; ++i) {
      const FlowKey key = random.flow_of_some_kind();
      SCOPED_TRACE(text(key.source_address().to_string(), ' ', key.source_port, " -> ",
                        key.destination_address().to_string(), ' ', key.destination_port, " protocol ",
                        int{key.protocol}));
      const Service* taker = taker_of(snapshot, key);
      taken += taker != nullptr ? 1 : 0;
      PlanProperties(random, key, taker).check();
      if (testing::Test::HasFailure()) return;  // one is enough to read
    }
  }
  EXPECT_GT(taken, 1000U) << "the flows miss the services, so this proves little";
}

}  // namespace
}  // namespace nfsteer::rules
