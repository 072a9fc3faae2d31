// How many messages one site of the code may write, so that a fault that repeats does not fill the log, and
// how many it would have written.
//
// The first message opens a window of `per`; `burst` messages pass in it, the others are counted. The next
// message after its end opens a new one. So at most 2 * burst pass in any time as long as a window.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

namespace nfsteer::core {

class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;

  RateLimit(unsigned burst, Clock::duration per) : burst_(burst), per_(per) {}

  // May a message pass at `now`? One that may not is counted.
  bool allow(Clock::time_point now) {
    if (is_over(now)) {
      began_ = now;
      passed_ = 0;
      open_ = true;
    }
    if (passed_ < burst_) {
      ++passed_;
      return true;
    }
    ++suppressed_;
    return false;
  }

  // When to tell of what was suppressed: the end of the window it was in; never where nothing was.
  Clock::time_point tell_at() const { return suppressed_ > 0 ? began_ + per_ : Clock::time_point::max(); }
  // How many were suppressed in windows that are over at `now`; each is told of once.
  std::uint64_t take_suppressed(Clock::time_point now) { return is_over(now) ? take_suppressed() : 0; }
  // The same, whether the window is over or not.
  std::uint64_t take_suppressed() { return std::exchange(suppressed_, 0); }

 private:
  bool is_over(Clock::time_point now) const { return !open_ || now - began_ >= per_; }

  unsigned burst_;
  Clock::duration per_;
  Clock::time_point began_;
  unsigned passed_ = 0;
  std::uint64_t suppressed_ = 0;
  bool open_ = false;
};

}  // namespace nfsteer::core
