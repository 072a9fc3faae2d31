// The policies that look at all backends' connections: decisions on loads made by hand, and fair ties.
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy_support.hpp"

namespace nfsteer::policy::test {
namespace {

// All that the policy may choose.
std::set<std::uint32_t> choices(std::string_view spec, const Weights& weights,
                                const std::vector<std::uint32_t>& loads) {
  const Pool pool(weights);
  pool.set_loads(loads);
  const auto policy = build(spec, pool.input());
  std::set<std::uint32_t> found;
  Asker asker;
  for (int pick = 0; pick < 300; ++pick)
    found.insert(asker.ask(*policy).value());
  return found;
}

using Set = std::set<std::uint32_t>;

TEST(LeastLoaded, LeastConnectionsIgnoresWeights) {
  EXPECT_EQ(choices("lc", {1, 100, 50}, {3, 4, 5}), Set{0});
  EXPECT_EQ(choices("lc", {1, 100, 0, 50}, {3, 3, 0, 4}), (Set{0, 1}));
}

TEST(LeastLoaded, WeightedLeastConnectionsGoesByConnectionsPerWeight) {
  EXPECT_EQ(choices("wlc", {1, 10, 5}, {1, 9, 5}), Set{1});           // 1, 0.9, 1
  EXPECT_EQ(choices("wlc", {1, 10, 5}, {1, 10, 5}), (Set{0, 1, 2}));  // all 1
  EXPECT_EQ(choices("wlc", {1, 10, 5}, {0, 1, 1}), Set{0});
}

TEST(LeastLoaded, ShortestExpectedDelayCountsTheNewConnectionIn) {
  EXPECT_EQ(choices("sed", {1, 10}, {0, 8}), Set{1});       // 1 against 0.9
  EXPECT_EQ(choices("sed", {1, 10}, {0, 10}), Set{0});      // 1 against 1.1
  EXPECT_EQ(choices("sed", {1, 10}, {0, 9}), (Set{0, 1}));  // both 1
  EXPECT_EQ(choices("sed", {1, 2, 3}, {0, 0, 0}), Set{2});  // the fastest of the idle
}

TEST(LeastLoaded, NeverQueueTakesAnIdleOneBeforeAFasterOne) {
  EXPECT_EQ(choices("nq", {1, 10}, {0, 1}), Set{0});
  EXPECT_EQ(choices("sed", {1, 10}, {0, 1}), Set{1});
  EXPECT_EQ(choices("nq", {1, 10, 5}, {0, 0, 3}), (Set{0, 1}));
  EXPECT_EQ(choices("nq", {1, 10}, {1, 8}), Set{1});  // none is idle: 2 against 0.9
}

TEST(LeastLoaded, PendingConnectionsCount) {
  const Pool pool({1, 1});
  pool.set_loads({2, 1});
  pool.live[1]->picked();
  pool.live[1]->picked();
  for (const char* spec : {"lc", "wlc", "sed", "nq", "twos", "peak-ewma"})
    EXPECT_EQ(Asker().ask(*build(spec, pool.input())), 0U) << spec;
}

TEST(LeastLoaded, EquallyGoodOnesAreDrawnByWeight) {
  constexpr int kPicks = 100'000;
  for (const char* spec : {"lc", "wlc", "nq"}) {
    const bool is_weighted = std::string_view(spec) != "lc";
    const Pool pool({1, 2, 3, 0, 4, 7});
    pool.set_loads({0, 0, 0, 0, 0, 9});
    const auto policy = build(spec, pool.input());
    Asker asker;
    std::vector<double> counts(6, 0.0);
    for (int pick = 0; pick < kPicks; ++pick)
      counts[asker.ask(*policy).value()] += 1;
    double chi_square = 0;
    for (const std::size_t index : {0U, 1U, 2U, 4U}) {
      const double expected = kPicks * (is_weighted ? pool.backends[index].weight / 10.0 : 0.25);
      chi_square += (counts[index] - expected) * (counts[index] - expected) / expected;
    }
    EXPECT_LT(chi_square, chi_square_bound(3)) << spec;
    EXPECT_EQ(counts[5], 0) << spec;
  }
}

TEST(LeastLoaded, WithoutLiveStateLeastConnectionsTakesAnyBackend) {
  const Pool pool({1, 9, 0});
  const auto policy = build("lc", pool.input_without_live());
  const auto counts = counts_of(places_of(*policy, 10'000), 3);
  EXPECT_NEAR(counts[0], 5000, 250);  // five standard deviations
  EXPECT_NEAR(counts[1], 5000, 250);
}

TEST(LeastLoaded, LargeLoadsCompareExactly) {
  const Pool pool({65535, 65534});
  pool.set_loads({4294967295, 4294967295});
  EXPECT_EQ(Asker().ask(*build("wlc", pool.input())), 0U);
}

}  // namespace
}  // namespace nfsteer::policy::test
