// When to look whether others have changed our rules, and when to put them right. Pure: time is an argument.
//
// At every poll the outlines of our tables are taken (iptc/outline.hpp), which costs some microseconds. Where
// they are not as our own last change left them, everything is compared, as soon as the tables have held
// still for one poll: a script that empties tables and fills them again is let finish. A change that keeps
// every size shows only in the full comparison that comes now and then all the same. Reading and comparing
// takes 0.05 ms for a few rules and 0.15 s for those of 10,000 backends, so the pauses grow with what a
// comparison costs: together they take at most a 20th of the control thread's time, a 1000th while nobody
// changes anything.
//
// Whoever undoes our repairs again and again may mean it: each repair that follows soon upon another doubles
// the pause before the next one. A repair that fails, since somebody holds the lock, say, is no such fight:
// it is tried again sooner, and never less often than every few seconds.
#pragma once

#include <chrono>
#include <optional>

#include "iptc/outline.hpp"

namespace nfsteer::control {

class RuleWatch {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::milliseconds kPoll{200};
  static constexpr std::chrono::seconds kUnquietMax{
      1};  // a table that never holds still is compared all the same
  static constexpr std::chrono::seconds kCompareEvery{5};
  static constexpr std::chrono::seconds kSoon{10};  // what is needed so soon after a repair is a fight
  static constexpr std::chrono::seconds kPauseMin{1};
  static constexpr std::chrono::seconds kPauseMax{30};
  static constexpr std::chrono::seconds kRetryMax{5};

  // Our own change, or a comparison that found nothing wrong, has left the tables like this.
  void adopt(rules::Outlines outlines, Clock::time_point now);

  // At every poll, with the outlines as they are. True: compare everything now.
  bool due(const rules::Outlines& seen, Clock::time_point now);

  // A comparison is over.
  void compared(Clock::time_point began, Clock::time_point now);

  // A repair was made. Returns how long the next one waits: nothing, unless this is a fight.
  Clock::duration repaired(Clock::time_point now);

  // A repair could not be made.
  void failed(Clock::time_point now);

 private:
  rules::Outlines adopted_;
  rules::Outlines last_seen_;
  std::optional<Clock::time_point> differs_since_;
  Clock::time_point not_before_{};
  Clock::time_point all_again_{};  // when to compare though nothing shows
  std::optional<Clock::time_point> last_repair_;
  Clock::duration pause_{};  // after repairs
  Clock::duration retry_{};  // after failed ones
};

}  // namespace nfsteer::control
