// The health of one backend: what the results of its checks make of it, and when the next check is due. Pure:
// the clock and the dice are arguments.
//
//   first result   decides alone: good is up, bad is down
//   up             `fall` bad results in a row: down
//   down           `rise` good results in a row: up; every bad one doubles the wait for the next check up to
//                  `backoff_max`, a good one ends the back-off
//   passive        `HealthCheck::passive` connections in a row without an answer: down, as if by `fall` bad
//                  results. With CheckType::passive no check can bring it back: it comes back by itself after
//                  `interval`, and after twice as long each time it falls again soon.
//
// A check that is undecided changes nothing but the time of the next one.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/health_check.hpp"
#include "core/random.hpp"
#include "health/check_result.hpp"

namespace nfsteer::health {

class BackendHealth {
 public:
  using Clock = std::chrono::steady_clock;
  using TimePoint = Clock::time_point;
  static constexpr TimePoint kNever = TimePoint::max();

  // A trusted backend is up until its first result, and its first check comes at a random time within the
  // first second (or interval); one that is not is unknown and checked at once. Where nothing is sent
  // (CheckType::passive) there is nothing to wait for: up in either case.
  BackendHealth(const core::HealthCheck& check, bool trusted, TimePoint now, core::Random& random);

  core::Health health() const { return health_; }

  // When the next check is to start; with CheckType::passive, when it comes back; kNever for neither.
  TimePoint due() const { return due_; }

  // A check that began at `started` has ended. The next one begins an interval after that, `jitter` more or
  // less; the second of all up to half an interval earlier, so that backends that began together part.
  void check_ended(const core::HealthCheck& check, Outcome outcome, TimePoint started, core::Random& random);

  // So many of the latest connections have had no answer, all in a row; may be told again and again. Only
  // those since the backend came up count against it.
  void unanswered(const core::HealthCheck& check, std::uint64_t in_a_row, TimePoint now,
                  core::Random& random);

  // CheckType::passive, down and due: it is up again, on trial.
  void come_back(TimePoint now);

  // `check` is new. What is known stays, streaks and back-off begin anew; the next check comes within a
  // second (or interval), at random.
  void reconfigured(const core::HealthCheck& check, TimePoint now, core::Random& random);

 private:
  void go_down(const core::HealthCheck& check);
  void go_up(TimePoint now);

  core::Health health_;
  bool decided_ = false;               // a result has been there
  std::uint32_t in_a_row_ = 0;         // results in a row that speak against health_
  core::HealthCheck::Duration delay_;  // from one check's start to the next one's, without jitter
  TimePoint due_;
  TimePoint came_up_;
  std::uint64_t unanswered_ = 0;  // as last told
  std::uint64_t forgiven_ = 0;    // how many of them were there when it came up
};

}  // namespace nfsteer::health
