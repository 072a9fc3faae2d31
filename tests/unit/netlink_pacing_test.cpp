#include <gtest/gtest.h>

#include "netlink/pacing.hpp"

namespace nfsteer::netlink {
namespace {

using namespace std::chrono_literals;

// A reader that finds `packets` each time, `apart` from the time before.
class PacingTest : public testing::Test {
 protected:
  void read(int times, std::size_t packets, std::chrono::nanoseconds apart) {
    for (int i = 0; i < times; ++i) {
      now_ += apart;
      pacing_.batch_done(packets, now_);
    }
  }

  Pacing pacing_;
  Pacing::Clock::time_point now_{1h};
};

TEST_F(PacingTest, NobodyWaitsBeforeTheFirstPacket) {
  EXPECT_FALSE(pacing_.should_wait());
}

TEST_F(PacingTest, WaitsOnceSeveralPacketsWillComeMeanwhile) {
  read(500, 1, Pacing::kWait / 8);
  EXPECT_TRUE(pacing_.should_wait());
}

TEST_F(PacingTest, DoesNotWaitForASinglePacket) {
  read(500, 1, Pacing::kWait);
  EXPECT_FALSE(pacing_.should_wait());
}

TEST_F(PacingTest, ItIsTheRateThatCountsNotTheSizeOfABatch) {
  read(100, 64, 64 * Pacing::kWait);
  EXPECT_FALSE(pacing_.should_wait());
  read(500, 8, Pacing::kWait);
  EXPECT_TRUE(pacing_.should_wait());
}

TEST_F(PacingTest, AfterAQuietTimeNobodyWaits) {
  read(500, 8, Pacing::kWait);
  read(1, 1, Pacing::kMemory * 2);
  EXPECT_FALSE(pacing_.should_wait());
}

TEST_F(PacingTest, OneBurstIsNotARate) {
  read(1, 1, 1s);
  read(1, 3, 1us);
  EXPECT_FALSE(pacing_.should_wait());
}

TEST_F(PacingTest, TwoBatchesInOneMomentDoNotDivideByZero) {
  read(2, 1, 1s);
  read(1, 1, 0ns);
  read(1, 1, 1s);
  EXPECT_FALSE(pacing_.should_wait());
}

}  // namespace
}  // namespace nfsteer::netlink
