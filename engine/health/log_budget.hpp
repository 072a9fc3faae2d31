// How many lines may go to the log: so many in a second, and one that says how many were left out. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

namespace nfsteer::health {

class LogBudget {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kWindow{1};

  explicit LogBudget(std::uint32_t lines_max) : lines_max_(lines_max) {}

  // May a line be written now? One that may not is counted as left out.
  bool take(TimePoint now) {
    if (now >= end_) {
      end_ = now + kWindow;
      lines_ = 0;
    }
    if (lines_ < lines_max_) {
      ++lines_;
      return true;
    }
    ++left_out_;
    return false;
  }

  // When to say how many were left out: the end of the second in which they were; the end of time for none.
  TimePoint summary_due() const { return left_out_ > 0 ? end_ : TimePoint::max(); }
  std::uint64_t take_left_out() { return std::exchange(left_out_, 0); }

 private:
  std::uint32_t lines_max_;
  TimePoint end_ = TimePoint::min();
  std::uint32_t lines_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace nfsteer::health
