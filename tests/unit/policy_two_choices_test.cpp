// Power of two choices and peak EWMA.
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "policy/two_candidates.hpp"
#include "policy_support.hpp"

namespace nfsteer::policy::test {
namespace {

constexpr std::uint32_t kPicks = 100'000;

std::vector<double> shares_of(const Policy& policy, std::size_t backends, std::uint64_t now_ns = 0) {
  Asker asker;
  std::vector<double> shares(backends, 0.0);
  for (std::uint32_t pick = 0; pick < kPicks; ++pick)
    shares[asker.ask(policy, {}, now_ns).value()] += 1;
  for (double& each : shares)
    each /= kPicks;
  return shares;
}

TEST(TwoCandidates, AreTwoDifferentOnesDrawnByWeight) {
  const Pool pool({1, 2, 0, 3, 4});
  const TwoCandidates candidates(pool.input());
  core::Random random(1);
  std::vector<std::vector<double>> counts(5, std::vector<double>(5, 0.0));
  for (std::uint32_t draw = 0; draw < kPicks; ++draw) {
    const auto [first, second] = candidates.draw(random);
    counts[first.index][second.index] += 1;
  }
  double chi_square = 0;
  for (std::size_t first = 0; first < 5; ++first)
    for (std::size_t second = 0; second < 5; ++second) {
      const double weight = pool.backends[first].weight;
      const double expected =
          first == second ? 0 : kPicks * weight / 10 * pool.backends[second].weight / (10 - weight);
      if (expected == 0) {
        EXPECT_EQ(counts[first][second], 0);
      } else {
        chi_square += (counts[first][second] - expected) * (counts[first][second] - expected) / expected;
      }
    }
  EXPECT_LT(chi_square, chi_square_bound(11));
}

TEST(PowerOfTwoChoices, TheMostLoadedForItsWeightGetsNothing) {
  const Pool pool({1, 1, 2, 4});
  pool.set_loads({3, 5, 9, 16});  // per weight: 3, 5, 4.5, 4
  const auto shares = shares_of(*build("twos", pool.input()), 4);
  EXPECT_EQ(shares[1], 0);
  EXPECT_NEAR(shares[0], 1.0 / 8 + 1.0 / 7 * 1 / 8 + 2.0 / 8 * 1 / 6 + 4.0 / 8 * 1 / 4, 0.01);
}

TEST(PowerOfTwoChoices, EquallyLoadedOnesGetTheirWeights) {
  const Pool pool({1, 3});
  pool.set_loads({2, 6});
  EXPECT_NEAR(shares_of(*build("twos", pool.input()), 2)[1], 0.75, 0.007);  // five standard deviations
}

// Balls into bins: the fullest has about ln ln n / ln 2 more than the mean, instead of many.
TEST(PowerOfTwoChoices, KeepsTheFullestNearTheMean) {
  constexpr std::uint32_t kBackends = 1000;
  const Pool pool(Weights(kBackends, 1));
  const auto policy = build("twos", pool.input());
  Asker asker;
  std::uint64_t fullest = 0;
  for (std::uint32_t flow = 0; flow < 10 * kBackends; ++flow) {
    core::LiveBackend& picked = *pool.live[asker.ask(*policy).value()];
    picked.picked();
    fullest = std::max(fullest, picked.load());
  }
  EXPECT_LE(fullest, 14U);
}

TEST(PeakEwma, PrefersTheFaster) {
  const Pool pool({1, 1});
  pool.live[0]->add_latency(10'000, 0);
  pool.live[1]->add_latency(1000, 0);
  const auto policy = build("peak-ewma", pool.input());
  EXPECT_EQ(shares_of(*policy, 2)[1], 1);
  pool.set_loads({0, 8});  // 10,000 against 9,000
  EXPECT_EQ(shares_of(*policy, 2)[1], 1);
  pool.set_loads({0, 10});  // 10,000 against 11,000
  EXPECT_EQ(shares_of(*policy, 2)[0], 1);
}

TEST(PeakEwma, WeightsDivideTheCost) {
  const Pool pool({4, 1});
  for (core::LiveBackend* each : pool.live)
    each->add_latency(1000, 0);
  pool.set_loads({6, 1});  // 7 / 4 against 2 / 1
  EXPECT_EQ(shares_of(*build("peak-ewma", pool.input()), 2)[0], 1);
}

TEST(PeakEwma, ANewBackendGetsTrafficButNoFlood) {
  const Pool pool({1, 1});
  pool.live[0]->add_latency(1000, 0);
  const auto policy = build("peak-ewma", pool.input());
  EXPECT_NEAR(shares_of(*policy, 2)[1], 0.5, 0.008);  // five standard deviations
  pool.set_loads({5, 3});
  EXPECT_EQ(shares_of(*policy, 2)[1], 1);
  pool.set_loads({5, 6});
  EXPECT_EQ(shares_of(*policy, 2)[1], 0);
}

TEST(PeakEwma, WithoutAnyLatencyConnectionsDecide) {
  const Pool pool({1, 2});
  pool.set_loads({3, 6});
  EXPECT_EQ(shares_of(*build("peak-ewma", pool.input()), 2)[1], 1);  // 4 against 3.5
}

TEST(PeakEwma, ASlowAnswerIsForgottenInTime) {
  const Pool pool({1, 1});
  pool.live[0]->add_latency(5000, 0);
  pool.live[1]->add_latency(1000, 0);
  const auto policy = build("peak-ewma", pool.input());
  const auto later_ns = static_cast<std::uint64_t>(core::kLatencyDecay_s * 2e9);
  pool.live[1]->add_latency(1000, later_ns);
  EXPECT_EQ(shares_of(*policy, 2, later_ns)[0], 1);  // 5000 / e^2 = 677
}

}  // namespace
}  // namespace nfsteer::policy::test
