// The watchdog: tells the service manager that all is well, but only while every worker makes progress. A
// worker counts up once per round of its loop, and a round lasts at most netlink's receive timeout and a
// batch, also where no packet comes; so one whose count stands still hangs. That the control thread is alive
// shows in its telling anything at all.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "process/service_manager.hpp"

namespace nfsteer::process {

// Which worker has stood still for too long. Time is an argument.
class ProgressMonitor {
 public:
  using Clock = std::chrono::steady_clock;
  struct Stall {
    std::size_t worker;
    Clock::duration lasts;
  };

  explicit ProgressMonitor(Clock::duration patience) : patience_(patience) {}

  // `counts`, one per worker, as they are at `now`. Returns the worker that has stood still for longest, if
  // that is as long as `patience`. A worker that is new has just moved.
  std::optional<Stall> observe(std::span<const std::uint64_t> counts, Clock::time_point now);

 private:
  struct Seen {
    std::uint64_t count;
    Clock::time_point changed;
  };
  Clock::duration patience_;
  std::vector<Seen> seen_;
};

class Watchdog {
 public:
  using Counts = std::function<std::vector<std::uint64_t>()>;

  // Ten rounds without a packet.
  static constexpr std::chrono::seconds kPatience{1};
  // How soon a stall is looked at again: the whole process may have been held up, and its workers run on a
  // moment after the control thread.
  static constexpr std::chrono::milliseconds kRecheck{250};

  // Keeps `manager` content from now on, if it expects that, at half the time it would wait. Both arguments
  // by reference outlive the watchdog.
  Watchdog(boost::asio::io_context& io, ServiceManager& manager, Counts counts);

 private:
  void tick();
  void wait(std::chrono::microseconds time);

  ServiceManager& manager_;
  Counts counts_;
  boost::asio::steady_timer timer_;
  std::chrono::microseconds interval_{0};
  ProgressMonitor monitor_{kPatience};
  bool stalled_ = false;
};

}  // namespace nfsteer::process
