// Weighted failover and overflow: one backend takes all, until it goes or is full.
#include <vector>

#include <gtest/gtest.h>

#include "policy_support.hpp"

namespace nfsteer::policy::test {
namespace {

TEST(WeightedFailover, TheHighestUsableWeightTakesAll) {
  for (const auto& [weights, first] : {std::pair{Weights{1, 5, 3}, 1U}, {{1, 0, 3}, 2U}, {{2, 7, 7}, 1U}}) {
    const Pool pool(weights);
    for (const std::uint32_t place : places_of(*build("fo", pool.input()), 1000))
      ASSERT_EQ(place, first);
  }
}

TEST(Overflow, TheNextOneTakesWhatGoesBeyondTheWeight) {
  const Pool pool({2, 5, 3});
  const auto policy = build("ovf", pool.input());
  Asker asker;
  std::vector<std::uint32_t> places;
  for (int flow = 0; flow < 10; ++flow) {
    places.push_back(asker.ask(*policy).value());
    pool.live[places.back()]->picked();
  }
  EXPECT_EQ(places, (std::vector<std::uint32_t>{1, 1, 1, 1, 1, 2, 2, 2, 0, 0}));
  pool.live[1]->limit_pending(4);
  EXPECT_EQ(asker.ask(*policy), 1U);
}

TEST(Overflow, WhenAllAreFullTheLeastLoadedTakesIt) {
  const Pool pool({2, 5, 3});
  pool.set_loads({4, 6, 4});  // per weight: 2, 1.2, 1.33
  EXPECT_EQ(Asker().ask(*build("ovf", pool.input())), 1U);
  pool.set_loads({4, 7, 4});
  EXPECT_EQ(Asker().ask(*build("ovf", pool.input())), 2U);
}

TEST(Overflow, StrictlyAllFullIsNoBackend) {
  const Pool pool({2, 5, 3});
  pool.set_loads({2, 5, 3});
  const auto policy = build("overflow,strict=1", pool.input());
  EXPECT_EQ(Asker().ask(*policy), std::nullopt);
  pool.set_loads({1, 5, 3});
  EXPECT_EQ(Asker().ask(*policy), 0U);
}

TEST(Overflow, WithoutLiveStateNothingIsFull) {
  const Pool pool({2, 5, 3});
  for (const std::uint32_t place : places_of(*build("overflow,strict=1", pool.input_without_live()), 100))
    ASSERT_EQ(place, 1U);
}

}  // namespace
}  // namespace nfsteer::policy::test
