// What policy/policy.hpp asks of every policy, and what each promises in its row of the catalogue.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <deque>
#include <numeric>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "policy_support.hpp"

namespace nfsteer::policy::test {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint32_t kFlows = 20'000;
#else
constexpr std::uint32_t kFlows = 200'000;
#endif

double sum_of(const Weights& weights) {
  return std::accumulate(weights.begin(), weights.end(), 0.0);
}

class PolicyContract : public testing::TestWithParam<PolicyInfo> {
 protected:
  const Contract& contract() const { return GetParam().contract; }
  std::shared_ptr<const Policy> built(const BuildInput& input) const {
    return test::build(GetParam().name, input);
  }

  // By how much a backend's share of the keys differs from its weight's, as a relative standard deviation:
  // a ring has only so many points.
  double share_deviation(double weight) const {
    constexpr double kVnodes = 160;
    return GetParam().name == "ring-hash" ? 1 / std::sqrt(kVnodes * weight) : 0;
  }
  // The share of all flows that may move without need when one of some twenty backends changes.
  double needless_moves() const { return GetParam().name == "maglev" ? 0.01 : 0; }

  void expect_shares(const std::vector<double>& counts, const Weights& weights) const;
  void expect_few_moves(const Weights& before, const Weights& after) const;
};

// Chi-square, where the variance of a count has the part that share_deviation() says; p = 1e-6.
void PolicyContract::expect_shares(const std::vector<double>& counts, const Weights& weights) const {
  const double flows = std::accumulate(counts.begin(), counts.end(), 0.0);
  double chi_square = 0;
  double degrees = -1;
  for (std::size_t index = 0; index < weights.size(); ++index) {
    if (weights[index] == 0) {
      EXPECT_EQ(counts[index], 0) << "backend " << index;
      continue;
    }
    const double expected = flows * weights[index] / sum_of(weights);
    const double deviation = share_deviation(weights[index]);
    const double error = counts[index] - expected;
    chi_square += error * error / (expected + expected * expected * deviation * deviation);
    degrees += 1;
  }
  EXPECT_LT(chi_square, chi_square_bound(degrees));
}

// Each over those whose contracts promise what it tests.
class ProportionalPolicy : public PolicyContract {};
class BlindPolicy : public PolicyContract {};  // proportional without looking at loads
class LoadAwarePolicy : public PolicyContract {};
class FlowPolicy : public PolicyContract {};
class OrderIndependentPolicy : public PolicyContract {};
class ConsistentPolicy : public PolicyContract {};

const Weights kSkewed{1, 2, 3, 0, 4, 10, 20, 5};

TEST_P(BlindPolicy, SharesAreTheWeights) {
  for (const Weights& weights : {kSkewed, Weights(50, 1), Weights{65535, 40000, 65535}}) {
    const Pool pool(weights);
    expect_shares(counts_of(places_of(*built(pool.input()), kFlows), weights.size()), weights);
  }
}

TEST_P(ProportionalPolicy, WithoutLiveStateSharesAreTheWeights) {
  const Pool pool(kSkewed);
  const auto policy = built(pool.input_without_live());
  expect_shares(counts_of(places_of(*policy, kFlows), kSkewed.size()), kSkewed);
}

// Connections that all last equally long, many at a time.
TEST_P(LoadAwarePolicy, SharesAreTheWeightsWhereBackendsAreAsFastAsTheirWeights) {
  const Pool pool(kSkewed);
  const auto policy = built(pool.input());
  const std::size_t lasting = 200 * static_cast<std::size_t>(sum_of(kSkewed));
  std::deque<std::uint32_t> open;
  std::vector<double> counts(kSkewed.size(), 0.0);
  std::vector<std::uint32_t> loads(kSkewed.size(), 0);
  Asker asker;
  for (std::uint32_t flow = 0; flow < kFlows; ++flow) {
    const std::uint32_t index = asker.ask(*policy, client_flow(flow)).value();
    open.push_back(index);
    pool.live[index]->set_active(++loads[index]);
    pool.live[index]->add_latency(1000, 0);
    counts[index] += 1;
    if (open.size() <= lasting) continue;
    pool.live[open.front()]->set_active(--loads[open.front()]);
    open.pop_front();
  }
  for (std::size_t index = 0; index < kSkewed.size(); ++index)
    EXPECT_NEAR(counts[index], kFlows * kSkewed[index] / sum_of(kSkewed),
                0.05 * kFlows * kSkewed[index] / sum_of(kSkewed))
        << "backend " << index;
}

TEST_P(PolicyContract, EveryFlowMeetsAUsableBackend) {
  Weights weights(300);
  for (std::uint32_t index = 0; index < weights.size(); ++index)
    weights[index] = index * 7919 % 5;
  for (const core::Family family : {core::Family::ipv4, core::Family::ipv6}) {
    const Pool pool(backends_of(weights, family));
    for (std::uint32_t index = 0; index < weights.size(); ++index)
      pool.live[index]->set_active(index * 104729 % 50);
    const auto policy = built(pool.input());
    Asker asker;
    for (std::uint32_t flow = 0; flow < kFlows / 20; ++flow) {
      const auto index = asker.ask(*policy, any_flow(flow), flow);
      ASSERT_TRUE(index.has_value() && *index < weights.size()) << "flow " << flow;
      ASSERT_GT(weights[*index], 0U) << "flow " << flow;
    }
  }
}

TEST_P(PolicyContract, NoUsableBackendIsNoBackend) {
  for (const Weights& weights : {Weights{}, Weights{0}, Weights{0, 0, 0}}) {
    const Pool pool(weights);
    EXPECT_EQ(Asker().ask(*built(pool.input())), std::nullopt);
    EXPECT_EQ(Asker().ask(*built(pool.input_without_live())), std::nullopt);
  }
}

TEST_P(PolicyContract, TheOnlyUsableBackendTakesAll) {
  for (const Weights& weights : {Weights{1}, Weights{0, 65535, 0}}) {
    const Pool pool(weights);
    for (const auto& policy : {built(pool.input()), built(pool.input_without_live())}) {
      Asker asker;
      for (std::uint32_t flow = 0; flow < 1000; ++flow)
        ASSERT_EQ(asker.ask(*policy, any_flow(flow)), weights.size() == 1 ? 0U : 1U);
    }
  }
}

TEST_P(PolicyContract, TheSameSeedGivesTheSamePicks) {
  const Pool pool(kSkewed);
  pool.set_loads({3, 1, 4, 1, 5, 9, 2, 6});
  const auto policy = built(pool.input());
  const auto same = built(pool.input());
  Asker asker(7);
  Asker same_asker(7);
  for (std::uint32_t flow = 0; flow < 10'000; ++flow)
    ASSERT_EQ(asker.ask(*policy, any_flow(flow)), same_asker.ask(*same, any_flow(flow)));
}

TEST_P(PolicyContract, LiveStateIsAskedForWhereItIsRead) {
  EXPECT_EQ(built(Pool(kSkewed).input())->uses_live(), contract().uses_live);
}

TEST_P(FlowPolicy, TheFlowAloneDecides) {
  const Pool pool(kSkewed);
  const auto policy = built(pool.input());
  std::vector<std::optional<std::uint32_t>> before;
  Asker asker(1);
  for (std::uint32_t flow = 0; flow < 10'000; ++flow)
    before.push_back(asker.ask(*policy, any_flow(flow)));
  pool.set_loads({90, 0, 0, 0, 0, 90, 90, 90});
  Asker other(2);
  for (std::uint32_t flow = 10'000; flow-- > 0;)
    ASSERT_EQ(other.ask(*policy, any_flow(flow), 1'000'000'000), before[flow]);
}

TEST_P(OrderIndependentPolicy, TheListsOrderDoesNotMatter) {
  auto backends = backends_of(kSkewed);
  backends[5].weight = backends[6].weight;  // equal ones too
  backends[1].address = backends[2].address;
  backends[1].port = 8080;
  const Pool pool(backends);
  const auto policy = built(pool.input());
  std::vector<std::size_t> order(backends.size());
  std::iota(order.begin(), order.end(), 0U);
  for (const int round : {1, 2, 3}) {
    std::rotate(order.begin(), order.begin() + round, order.end());
    std::swap(order[0], order[4]);
    std::vector<core::Backend> listed;
    for (const std::size_t place : order)
      listed.push_back(backends[place]);
    const Pool other_pool(listed);
    const auto other = built(other_pool.input());
    Asker asker;
    Asker other_asker;
    for (std::uint32_t flow = 0; flow < 10'000; ++flow) {
      const auto index = asker.ask(*policy, any_flow(flow)).value();
      ASSERT_EQ(order[other_asker.ask(*other, any_flow(flow)).value()], index);
    }
  }
}

// Weight 0 stands for a backend that is not there. What must move is at least by how much the shares differ.
void PolicyContract::expect_few_moves(const Weights& before, const Weights& after) const {
  const Pool pool(before);
  const Pool changed(after);
  const auto places = places_of(*built(pool.input()), kFlows);
  const auto new_places = places_of(*built(changed.input()), kFlows);
  const auto counts = counts_of(places, before.size());
  const auto new_counts = counts_of(new_places, after.size());
  double moved = 0;
  for (std::uint32_t flow = 0; flow < kFlows; ++flow)
    moved += places[flow] != new_places[flow];
  double must_move = 0;
  for (std::size_t index = 0; index < before.size(); ++index)
    must_move += std::max(0.0, counts[index] - new_counts[index]);
  EXPECT_GT(must_move, 0);
  EXPECT_LE(moved, must_move + needless_moves() * kFlows);
}

TEST_P(ConsistentPolicy, AChangeMovesOnlyTheFlowsItHasTo) {
  Weights weights(20);
  for (std::uint32_t index = 0; index < weights.size(); ++index)
    weights[index] = 1 + index % 4;
  const auto with = [&](std::size_t index, std::uint32_t weight) {
    Weights changed = weights;
    changed[index] = weight;
    return changed;
  };
  expect_few_moves(weights, with(2, 0));
  expect_few_moves(with(2, 0), weights);
  expect_few_moves(weights, with(3, 6));
  expect_few_moves(weights, with(3, 2));
}

TEST_P(PolicyContract, WorkersAskConcurrently) {
  constexpr std::uint32_t kWorkers = 4;
  const Pool pool(kSkewed);
  const auto policy = built(pool.input(kWorkers));
  std::atomic<bool> is_over{false};
  std::thread writer([&] {
    for (std::uint32_t round = 0; !is_over.load(); ++round) {
      pool.live[round % kSkewed.size()]->set_active(round % 100);
      pool.live[round % kSkewed.size()]->add_latency(round % 1000, round);
      pool.live[round % kSkewed.size()]->limit_pending(5);
    }
  });
  std::array<std::uint32_t, kWorkers> wrong{};
  std::vector<std::thread> workers;
  for (std::uint32_t worker = 0; worker < kWorkers; ++worker)
    workers.emplace_back([&, worker] {
      core::Random random(1, worker);
      for (std::uint32_t flow = 0; flow < 5000; ++flow) {
        core::PickContext context{random, flow, worker};
        const auto index = policy->pick(any_flow(flow), context);
        wrong[worker] += !index || *index >= kSkewed.size() || kSkewed[*index] == 0;
        if (index && policy->uses_live()) pool.live[*index]->picked();
      }
    });
  for (std::thread& each : workers)
    each.join();
  is_over = true;
  writer.join();
  EXPECT_EQ(wrong, (std::array<std::uint32_t, kWorkers>{}));
}

std::string identifier(const testing::TestParamInfo<PolicyInfo>& info) {
  std::string name(info.param.name);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

template <typename Promise>
std::vector<PolicyInfo> those_with(Promise promise) {
  std::vector<PolicyInfo> found;
  for (const PolicyInfo& each : catalogue())
    if (promise(each.contract)) found.push_back(each);
  return found;
}

INSTANTIATE_TEST_SUITE_P(Catalogue, PolicyContract, testing::ValuesIn(catalogue().begin(), catalogue().end()),
                         identifier);
INSTANTIATE_TEST_SUITE_P(Catalogue, ProportionalPolicy,
                         testing::ValuesIn(those_with([](const Contract& contract) {
                           return contract.proportional;
                         })),
                         identifier);
INSTANTIATE_TEST_SUITE_P(Catalogue, BlindPolicy, testing::ValuesIn(those_with([](const Contract& contract) {
                           return contract.proportional && !contract.uses_live;
                         })),
                         identifier);
INSTANTIATE_TEST_SUITE_P(Catalogue, LoadAwarePolicy,
                         testing::ValuesIn(those_with([](const Contract& contract) {
                           return contract.proportional && contract.uses_live;
                         })),
                         identifier);
INSTANTIATE_TEST_SUITE_P(Catalogue, FlowPolicy, testing::ValuesIn(those_with([](const Contract& contract) {
                           return contract.by_flow;
                         })),
                         identifier);
INSTANTIATE_TEST_SUITE_P(Catalogue, OrderIndependentPolicy,
                         testing::ValuesIn(those_with([](const Contract& contract) {
                           return contract.order_independent;
                         })),
                         identifier);
INSTANTIATE_TEST_SUITE_P(Catalogue, ConsistentPolicy,
                         testing::ValuesIn(those_with([](const Contract& contract) {
                           return contract.minimal_disruption;
                         })),
                         identifier);

}  // namespace
}  // namespace nfsteer::policy::test

namespace nfsteer::policy {

void PrintTo(const PolicyInfo& info, std::ostream* out) {  // for GoogleTest's messages
  *out << info.name;
}

}  // namespace nfsteer::policy
