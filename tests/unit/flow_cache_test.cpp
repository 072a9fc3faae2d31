#include "core/flow_cache.hpp"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.hpp"

namespace nfsteer::core {
namespace {

TEST(FlowCache, FindsWhatWasStoredUntilItIsTooOld) {
  FlowCache cache(64);
  EXPECT_EQ(cache.find(42, 100, 4), std::nullopt);
  cache.store(42, 7, 100);
  EXPECT_EQ(cache.find(42, 100, 4), 7U);
  EXPECT_EQ(cache.find(42, 104, 4), 7U);
  EXPECT_EQ(cache.find(42, 105, 4), std::nullopt);
}

TEST(FlowCache, StoringAgainReplacesAndRenews) {
  FlowCache cache(64);
  cache.store(42, 7, 100);
  cache.store(42, 8, 103);
  EXPECT_EQ(cache.find(42, 106, 4), 8U);
}

TEST(FlowCache, EveryHashIncludingZeroIsAKey) {
  FlowCache cache(64);
  EXPECT_EQ(cache.find(0, 0, 4), std::nullopt);
  cache.store(0, 9, 0);
  EXPECT_EQ(cache.find(0, 0, 4), 9U);
}

TEST(FlowCache, AFullSetForgetsItsOldestFlow) {
  FlowCache cache(4);  // one set
  ASSERT_EQ(cache.capacity(), 4U);
  for (std::uint32_t flow = 0; flow < 4; ++flow)
    cache.store(flow, flow, 10 + flow);
  cache.store(99, 99, 20);
  EXPECT_EQ(cache.find(0, 20, 100), std::nullopt);
  for (std::uint32_t flow = 1; flow < 4; ++flow)
    EXPECT_EQ(cache.find(flow, 20, 100), flow);
  EXPECT_EQ(cache.find(99, 20, 100), 99U);
}

TEST(FlowCache, HoldsMostOfWhatItHasRoomFor) {
  FlowCache cache(4096);
  Random random(3);
  std::vector<std::uint64_t> hashes(2048);
  for (auto& hash : hashes) {
    hash = random.next();
    cache.store(hash, static_cast<std::uint32_t>(hash), 1);
  }
  int found = 0;
  for (const auto hash : hashes)
    found += cache.find(hash, 1, 4) == static_cast<std::uint32_t>(hash);
  EXPECT_GT(found, 1900);
}

}  // namespace
}  // namespace nfsteer::core
