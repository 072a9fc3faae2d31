// The order in which checks start, and the log's budget, under virtual time.
#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.hpp"
#include "health/check_queue.hpp"

namespace nfsteer::health {
namespace {

using Lane = CheckQueue::Lane;
using TimePoint = CheckQueue::TimePoint;

TimePoint at(int time) {
  return TimePoint(std::chrono::seconds(time));
}

std::vector<CheckQueue::Id> started(CheckQueue& queue, int time) {
  std::vector<CheckQueue::Id> ids;
  while (const auto id = queue.start(at(time)))
    ids.push_back(*id);
  return ids;
}

TEST(CheckQueue, ChecksStartInTheOrderInWhichTheyAreDueAndNotBefore) {
  CheckQueue queue(10, 10);
  queue.wait(1, Lane::network, at(30));
  queue.wait(2, Lane::process, at(10));
  queue.wait(3, Lane::free, at(20));
  queue.wait(4, Lane::network, at(40));
  EXPECT_EQ(queue.next_start(), at(10));
  EXPECT_TRUE(started(queue, 9).empty());
  EXPECT_EQ(started(queue, 30), (std::vector<CheckQueue::Id>{2, 3, 1}));
  EXPECT_EQ(queue.next_start(), at(40));
}

TEST(CheckQueue, AFullLaneHoldsUpNoOther) {
  CheckQueue queue(2, 1);
  for (CheckQueue::Id id = 1; id <= 4; ++id)
    queue.wait(id, Lane::process, at(1));
  for (CheckQueue::Id id = 5; id <= 8; ++id)
    queue.wait(id, Lane::network, at(2));
  EXPECT_EQ(started(queue, 5), (std::vector<CheckQueue::Id>{1, 5, 6}));
  EXPECT_EQ(queue.next_start(), CheckQueue::kNever) << "nothing before one ends";
  queue.ended(Lane::network);
  EXPECT_EQ(queue.next_start(), at(2));
  EXPECT_EQ(started(queue, 5), (std::vector<CheckQueue::Id>{7}));
  queue.ended(Lane::process);
  EXPECT_EQ(started(queue, 5), (std::vector<CheckQueue::Id>{2}));
}

TEST(CheckQueue, AnotherTimeReplacesTheFirstOneAndForgottenChecksNeverStart) {
  CheckQueue queue(10, 10);
  queue.wait(1, Lane::network, at(10));
  queue.wait(1, Lane::process, at(20));
  queue.wait(2, Lane::network, at(10));
  queue.forget(2);
  queue.forget(3);
  EXPECT_TRUE(started(queue, 19).empty());
  EXPECT_EQ(started(queue, 20), (std::vector<CheckQueue::Id>{1}));
  EXPECT_EQ(queue.running(Lane::network), 0U);
  EXPECT_EQ(queue.running(Lane::process), 1U);
}

TEST(CheckQueue, NoCheckIsLostAndTheLimitsHoldWhateverHappens) {
  core::Random dice(11);
  CheckQueue queue(7, 3);
  std::map<CheckQueue::Id, Lane> waiting;
  std::vector<std::pair<CheckQueue::Id, Lane>> running;
  for (int time = 0; time < 20'000; ++time) {
    const CheckQueue::Id id = dice.next() % 100;
    const bool is_running =
        std::any_of(running.begin(), running.end(), [&](auto& run) { return run.first == id; });
    const auto action = dice.next() % 4;
    if (action == 0 && !is_running) {
      waiting[id] = dice.next() % 2 == 0 ? Lane::network : Lane::process;
      queue.wait(id, waiting[id], at(time + static_cast<int>(dice.next() % 50)));
    } else if (action == 1 && !is_running) {
      waiting.erase(id);
      queue.forget(id);
    } else if (action == 2) {
      if (const auto begun = queue.start(at(time))) {
        ASSERT_TRUE(waiting.contains(*begun));
        running.emplace_back(*begun, waiting[*begun]);
        waiting.erase(*begun);
      }
    } else if (!running.empty()) {
      queue.ended(running.back().second);
      running.pop_back();
    }
    ASSERT_LE(queue.running(Lane::network), 7U);
    ASSERT_LE(queue.running(Lane::process), 3U);
    ASSERT_EQ(queue.running(Lane::network) + queue.running(Lane::process), running.size());
  }
  while (!running.empty()) {
    queue.ended(running.back().second);
    running.pop_back();
  }
  std::size_t rest = 0;
  while (const auto id = queue.start(at(1'000'000))) {
    queue.ended(waiting.at(*id));
    ++rest;
  }
  EXPECT_EQ(rest, waiting.size());
}

}  // namespace
}  // namespace nfsteer::health
