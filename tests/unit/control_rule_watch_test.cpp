// When rules are compared and when they are put right, in virtual time.
#include <chrono>

#include <gtest/gtest.h>

#include "control/rule_watch.hpp"

namespace nfsteer::control {
namespace {

using namespace std::chrono_literals;

class RuleWatchTest : public testing::Test {
 protected:
  static rules::Outlines outlines(unsigned entries) {
    return {{rules::TableId{rules::Family::ipv4, rules::TableName::nat},
             rules::TableOutline{.entries = entries}}};
  }

  RuleWatchTest() { watch.adopt(outlines(10), now); }

  bool poll(unsigned entries) {
    now += RuleWatch::kPoll;
    return watch.due(outlines(entries), now);
  }
  // How long until a comparison is due, in a table that stays like this.
  RuleWatch::Clock::duration until_due(unsigned entries) {
    const auto began = now;
    while (!poll(entries))
      if (now - began > 1h) return 1h;
    return now - began;
  }
  void compare(RuleWatch::Clock::duration cost) {
    now += cost;
    watch.compared(now - cost, now);
  }

  RuleWatch watch;
  RuleWatch::Clock::time_point now{1000s};
};

TEST_F(RuleWatchTest, ComparesSoonWhereOthersHaveChangedSomething) {
  for (int i = 0; i < 10; ++i)
    EXPECT_FALSE(poll(10)) << "nothing has changed";
  EXPECT_EQ(until_due(9), 2 * RuleWatch::kPoll) << "as soon as the table holds still";
}

TEST_F(RuleWatchTest, LetsAScriptFinishButNotForEver) {
  unsigned entries = 10;
  const auto began = now;
  while (!poll(++entries))
    ASSERT_LT(now - began, 1min);
  EXPECT_GE(now - began, RuleWatch::kUnquietMax);
  EXPECT_LE(now - began, RuleWatch::kUnquietMax + 2 * RuleWatch::kPoll);
}

TEST_F(RuleWatchTest, HasNothingToDoWhereAChangeWasTakenBack) {
  EXPECT_FALSE(poll(9));
  EXPECT_FALSE(poll(10));
  EXPECT_FALSE(poll(10));
}

TEST_F(RuleWatchTest, ComparesNowAndThenThoughNothingShows) {
  EXPECT_EQ(until_due(10), RuleWatch::kCompareEvery);
  compare(1ms);
  watch.adopt(outlines(10), now);
  const auto again = until_due(10);
  EXPECT_GE(again, RuleWatch::kCompareEvery);
  EXPECT_LE(again, RuleWatch::kCompareEvery + RuleWatch::kPoll);
}

TEST_F(RuleWatchTest, TakesATwentiethOfTheTimeAtMostAndAThousandthWhileNobodyChangesAnything) {
  ASSERT_TRUE(until_due(9) < 1s);
  compare(80ms);
  watch.adopt(outlines(9), now);
  EXPECT_GE(until_due(8), 1600ms);
  compare(80ms);
  watch.adopt(outlines(8), now);
  EXPECT_GE(until_due(8), 80s);
}

TEST_F(RuleWatchTest, DoublesThePauseWhereRepairsFollowSoonUponRepairs) {
  EXPECT_EQ(watch.repaired(now), 0s);
  now += 1s;
  EXPECT_EQ(watch.repaired(now), 1s);
  EXPECT_GE(until_due(9), 1s) << "the next comparison waits";
  EXPECT_EQ(watch.repaired(now), 2s);
  for (int i = 0; i < 10; ++i) {
    now += 5s;
    EXPECT_LE(watch.repaired(now), RuleWatch::kPauseMax);
  }
  EXPECT_EQ(watch.repaired(now), RuleWatch::kPauseMax);
  now += RuleWatch::kPauseMax + RuleWatch::kSoon;
  EXPECT_EQ(watch.repaired(now), 0s) << "peace";
}

TEST_F(RuleWatchTest, TriesARepairThatFailedAgainLessAndLessOftenButNeverSeldom) {
  ASSERT_LT(until_due(9), 1s);
  compare(1ms);
  watch.failed(now);  // adopts nothing
  EXPECT_LT(until_due(9), 1s);
  RuleWatch::Clock::duration slowest{};
  for (int i = 0; i < 20; ++i) {
    watch.failed(now);
    slowest = until_due(9);
  }
  EXPECT_GE(slowest, 2s) << "who cannot repair for long does not try at every poll";
  EXPECT_LE(slowest, RuleWatch::kRetryMax + RuleWatch::kPoll);
}

TEST_F(RuleWatchTest, TakesARepairThatFailedForNoFight) {
  for (int i = 0; i < 5; ++i)
    watch.failed(now);
  EXPECT_EQ(watch.repaired(now), 0s);
  watch.adopt(outlines(10), now);
  watch.failed(now += 1min);
  EXPECT_LT(until_due(9), 1s) << "the failures before are forgotten";
}

TEST_F(RuleWatchTest, TakesOurOwnChangeForOurs) {
  EXPECT_FALSE(poll(9));
  watch.adopt(outlines(12), now);
  for (int i = 0; i < 10; ++i)
    EXPECT_FALSE(poll(12));
}

}  // namespace
}  // namespace nfsteer::control
