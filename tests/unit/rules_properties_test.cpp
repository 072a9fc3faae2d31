// Planned rules against the specification: what they do to a packet is what its service says, for
// configurations that nobody thought of. The walk stands for the kernel.
#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/snapshot.hpp"
#include "plan/affinity.hpp"
#include "walk_support.hpp"

namespace nfsteer::rules {
namespace {

using core::FlowKey;
using core::Mode;
using core::OnNoBackend;
using core::Protocol;
using core::Service;

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
      if (below(3) == 0) each.affinity = core::Affinity{};
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
    check_affinity();
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

  // A client that a backend has had goes there again.
  void check_affinity() const {
    if (taker_ == nullptr || !taker_->affinity || !taker_->has_usable_backend()) return;
    for (const core::Backend& each : taker_->backends) {
      if (each.weight == 0) continue;  // no rule names its list
      PacketView packet = first_of(key_);
      packet.in_list = [list = affinity_list(*taker_, each)](const Recent& match) {
        return match.list == list;
      };
      const PacketWay way = walk(TableName::nat, BuiltIn::output, packet);
      const Target* target = verdict_of(way);
      ASSERT_NE(target, nullptr);
      const std::uint16_t port = each.port != taker_->port ? each.port : std::uint16_t{0};
      EXPECT_EQ(*target, (Target{Dnat{each.address, port}}));
    }
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
