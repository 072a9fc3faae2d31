// How many messages pass, in virtual time.
#include "core/rate_limit.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace nfsteer::core {
namespace {

using namespace std::chrono_literals;
using Time = RateLimit::Clock::time_point;

TEST(RateLimitTest, ABurstPassesAndTheRestIsCounted) {
  RateLimit limit(3, 60s);
  const Time now;
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(limit.allow(now)) << i;
  for (int i = 0; i < 7; ++i)
    EXPECT_FALSE(limit.allow(now + 59s)) << i;
  EXPECT_EQ(limit.take_suppressed(now + 59s), 0U) << "the window is not over";
  EXPECT_EQ(limit.tell_at(), now + 60s);
  EXPECT_EQ(limit.take_suppressed(now + 60s), 7U);
  EXPECT_EQ(limit.take_suppressed(now + 60s), 0U) << "each is told of once";
  EXPECT_EQ(limit.tell_at(), Time::max()) << "nothing to tell of";
}

TEST(RateLimitTest, ANewWindowOpensWithTheNextMessageAfterTheOld) {
  RateLimit limit(1, 60s);
  const Time now;
  EXPECT_TRUE(limit.allow(now));
  EXPECT_FALSE(limit.allow(now + 59s));
  EXPECT_TRUE(limit.allow(now + 90s));
  EXPECT_FALSE(limit.allow(now + 149s));
  EXPECT_TRUE(limit.allow(now + 150s));
}

TEST(RateLimitTest, SparseMessagesAllPass) {
  RateLimit limit(2, 60s);
  for (int minute = 0; minute < 100; ++minute)
    EXPECT_TRUE(limit.allow(Time() + minute * 40s)) << minute;
  EXPECT_EQ(limit.take_suppressed(), 0U);
}

TEST(RateLimitTest, AnEndlessFloodPassesNoMoreThanABurstPerWindow) {
  RateLimit limit(5, 60s);
  int passed = 0;
  for (int second = 0; second < 600; ++second)
    passed += limit.allow(Time() + second * 1s) ? 1 : 0;
  EXPECT_EQ(passed, 50);
  EXPECT_EQ(limit.take_suppressed(), 550U);
}

}  // namespace
}  // namespace nfsteer::core
