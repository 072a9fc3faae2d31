// When a reader of queues waits a little before it reads again.
//
// Where packets arrive fast, a thread that is woken for each of them pays for as many wake-ups, and so does
// the sender that wakes it; one that lets a few packets gather pays once. As interrupt moderation of network
// cards does it, a reader waits only while the recent rate promises several packets within the wait: below
// that, waiting would add latency and gather nothing.
#pragma once

#include <time.h>

#include <chrono>
#include <cstddef>

namespace nfsteer::netlink {

class Pacing {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::microseconds kWait{150};
  static constexpr double kPacketsMin = 4;  // expected within kWait, or it is not worth waiting
  static constexpr std::chrono::microseconds kMemory{1000};  // the rate is that of about this long

  // After the verdicts of a batch of `packets` have been sent.
  void batch_done(std::size_t packets, Clock::time_point now) noexcept {
    const double passed = std::chrono::duration<double>(now - last_) / kMemory;
    const auto count = static_cast<double>(packets);
    last_ = now;
    // passed * (count / passed - rate_), which is defined for two batches at the same moment, too.
    rate_ = passed >= 1 ? count / passed : rate_ + count - passed * rate_;
  }

  // Before the next read.
  bool should_wait() const noexcept {
    constexpr double kShare = std::chrono::duration<double>(kWait) / kMemory;
    return rate_ * kShare >= kPacketsMin;
  }

 private:
  double rate_ = 0;  // packets per kMemory
  Clock::time_point last_;
};

}  // namespace nfsteer::netlink
