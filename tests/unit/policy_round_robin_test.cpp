// Round robin, plain and weighted.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy/round_robin.hpp"
#include "policy/weighted_round_robin.hpp"
#include "policy_support.hpp"

namespace nfsteer::policy::test {
namespace {

std::vector<std::uint32_t> sequence_of(const Policy& policy, std::size_t picks, std::uint64_t seed = 1) {
  Asker asker(seed);
  std::vector<std::uint32_t> sequence(picks);
  for (auto& each : sequence)
    each = asker.ask(policy).value();
  return sequence;
}

// As a word of letters, so that it is read and rotated easily: backend 0 is "a".
std::string letters(const std::vector<std::uint32_t>& sequence) {
  std::string text;
  for (const std::uint32_t each : sequence)
    text += static_cast<char>('a' + each);
  return text;
}

bool is_rotation(const std::string& a, const std::string& b) {
  return a.size() == b.size() && (a + a).find(b) != std::string::npos;
}

TEST(RoundRobin, TakesEachUsableBackendInTurn) {
  const Pool pool({1, 0, 9, 1});
  EXPECT_PRED2(is_rotation, letters(sequence_of(RoundRobin(pool.input()), 9)), "acdacdacd");
}

TEST(RoundRobin, ARebuiltListFavoursNobody) {
  const Pool pool(Weights(10, 1));
  std::vector<double> counts(10, 0.0);
  Asker asker;
  for (int build = 0; build < 10'000; ++build)
    counts[asker.ask(RoundRobin(pool.input())).value()] += 1;
  for (const double each : counts)
    EXPECT_NEAR(each, 1000, 150);  // five standard deviations
}

TEST(WeightedRoundRobin, TheSequenceOfNginxExampleIsNginxs) {
  // "{ a, a, b, a, c, a, a } instead of { c, b, a, a, a, a, a }": nginx's ngx_http_upstream_round_robin.c.
  const Pool pool({5, 1, 1});
  EXPECT_PRED2(is_rotation, letters(sequence_of(WeightedRoundRobin(pool.input()), 7)), "aabacaa");
  EXPECT_PRED2(is_rotation, letters(sequence_of(WeightedRoundRobin(pool.input()), 14)), "aabacaaaabacaa");
}

TEST(WeightedRoundRobin, AnyPeriodHoldsExactlyTheWeights) {
  for (const Weights& weights : {Weights{1}, Weights{2, 4}, Weights{7, 7, 7}, Weights{1, 2, 3, 0, 4, 10},
                                 Weights{65535, 1, 40000}, Weights(1000, 50)}) {
    const Pool pool(weights);
    const WeightedRoundRobin policy(pool.input());
    std::uint32_t divisor = 0;
    for (const std::uint32_t each : weights)
      divisor = std::gcd(divisor, each);
    const auto counts = counts_of(sequence_of(policy, policy.period(), 99), weights.size());
    for (std::size_t index = 0; index < weights.size(); ++index)
      EXPECT_EQ(counts[index], weights[index] / divisor) << "backend " << index << " of " << weights.size();
  }
}

// The longest wait of any backend for its next pick, in units of its mean wait.
double longest_wait(const std::vector<std::uint32_t>& sequence, std::size_t backends) {
  const auto counts = counts_of(sequence, backends);
  std::vector<std::ptrdiff_t> last(backends, -1);
  double longest = 0;
  for (std::size_t pick = 0; pick < 2 * sequence.size(); ++pick) {
    const std::uint32_t index = sequence[pick % sequence.size()];
    const auto now = static_cast<std::ptrdiff_t>(pick);
    if (last[index] >= 0)
      longest = std::max(longest, static_cast<double>(now - last[index]) * counts[index] /
                                      static_cast<double>(sequence.size()));
    last[index] = now;
  }
  return longest;
}

TEST(WeightedRoundRobin, PicksOfABackendLieEvenly) {
  core::Random random(5);
  for (int round = 0; round < 200; ++round) {
    Weights weights(2 + random.next() % 30);
    for (auto& each : weights)
      each = static_cast<std::uint32_t>(1 + random.next() % (round % 2 == 0 ? 10 : 300));
    const Pool pool(weights);
    const WeightedRoundRobin policy(pool.input());
    EXPECT_LT(longest_wait(sequence_of(policy, policy.period()), weights.size()), 3.5)
        << testing::PrintToString(weights);
  }
}

TEST(WeightedRoundRobin, FindsItsPlaceAmongManyAndUnequal) {
  Weights weights(10'000, 1);
  weights[17] = 65535;
  weights[4711] = 30000;
  const Pool pool(weights);
  const WeightedRoundRobin policy(pool.input());
  EXPECT_EQ(policy.period(), 65535U + 30000U + 9998U);
  const auto counts = counts_of(sequence_of(policy, policy.period()), weights.size());
  for (std::size_t index = 0; index < weights.size(); ++index)
    ASSERT_EQ(counts[index], weights[index]) << "backend " << index;
}

TEST(WeightedRoundRobin, ARebuiltListFavoursNobody) {
  const Pool pool({8, 1, 1});
  std::vector<double> counts(3, 0.0);
  Asker asker;
  for (int build = 0; build < 10'000; ++build)
    counts[asker.ask(WeightedRoundRobin(pool.input())).value()] += 1;
  EXPECT_NEAR(counts[0], 8000, 200);  // five standard deviations
  EXPECT_NEAR(counts[1], 1000, 150);
}

TEST(WeightedRoundRobin, EachWorkerGoesItsOwnRound) {
  const Pool pool({3, 2, 1});
  const WeightedRoundRobin policy(pool.input(2));
  core::Random random(3);
  std::vector<std::uint32_t> picks[2];
  for (int pick = 0; pick < 12; ++pick) {
    const std::uint32_t worker = pick % 3 == 0;  // the one that is asked more does not disturb the other
    core::PickContext context{random, 0, worker};
    picks[worker].push_back(policy.pick({}, context).value());
  }
  picks[0].resize(6);
  EXPECT_EQ(counts_of(picks[0], 3), (std::vector<double>{3, 2, 1}));
}

}  // namespace
}  // namespace nfsteer::policy::test
