// When the kernel's table is read again after events were lost: at once after a calm, and ever more seldom
// while losses go on, since reading a table of a million entries takes a second of this thread and of the
// kernel. Virtual time: every moment is an argument.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace nfsteer::tracking {

class ReadingPace {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::seconds kPauseMin{1};
  static constexpr std::chrono::seconds kPauseMax{10};  // also the calm after which a loss is a first one

  void lost(Time now) {
    if (due_) return;
    if (now >= earliest_ + kPauseMax) pause_ = kPauseMin;
    due_ = std::max(now, earliest_);
  }

  // When to read, if there is a reason to.
  std::optional<Time> due() const { return due_; }

  // Around a reading, for whatever reason it is made. What is lost during it is a reason for the next one.
  void begin() { for_loss_ = std::exchange(due_, std::nullopt).has_value(); }
  void end(Time now) {
    earliest_ = now + pause_;
    if (for_loss_) pause_ = std::min<std::chrono::seconds>(pause_ * 2, kPauseMax);
    if (due_) due_ = std::max(*due_, earliest_);
  }

 private:
  std::chrono::seconds pause_ = kPauseMin;
  bool for_loss_ = false;
  Time earliest_;
  std::optional<Time> due_;
};

}  // namespace nfsteer::tracking
