#include "process/watchdog.hpp"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

namespace nfsteer::process {

std::optional<ProgressMonitor::Stall> ProgressMonitor::observe(std::span<const std::uint64_t> counts,
                                                               Clock::time_point now) {
  if (seen_.size() > counts.size()) seen_.clear();
  std::optional<Stall> longest;
  for (std::size_t worker = 0; worker < counts.size(); ++worker) {
    if (worker == seen_.size()) seen_.push_back({counts[worker], now});
    Seen& seen = seen_[worker];
    if (seen.count != counts[worker]) seen = {counts[worker], now};
    const Clock::duration lasts = now - seen.changed;
    if (lasts >= patience_ && (!longest || lasts > longest->lasts)) longest = Stall{worker, lasts};
  }
  return longest;
}

Watchdog::Watchdog(boost::asio::io_context& io, ServiceManager& manager, Counts counts)
    : manager_(manager), counts_(std::move(counts)), timer_(io) {
  const auto limit = manager.watchdog();
  if (!limit) return;
  interval_ = std::max(*limit / 2, std::chrono::microseconds(1));
  tick();
}

void Watchdog::tick() {
  const auto stall = monitor_.observe(counts_(), ProgressMonitor::Clock::now());
  if (stall) {
    if (!stalled_)
      spdlog::error(
          "worker {} makes no progress, for {:.1f} s now; the service manager's watchdog will end this",
          stall->worker, std::chrono::duration<double>(stall->lasts).count());
    stalled_ = true;
    return wait(std::min<std::chrono::microseconds>(interval_, kRecheck));
  }
  if (stalled_) spdlog::info("every worker makes progress again");
  stalled_ = false;
  manager_.keep_alive();
  wait(interval_);
}

void Watchdog::wait(std::chrono::microseconds time) {
  timer_.expires_after(time);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

}  // namespace nfsteer::process
