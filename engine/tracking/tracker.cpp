#include "tracking/tracker.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "netlink/conntrack_socket.hpp"
#include "netlink/kernel_probe.hpp"
#include "tracking/conntrack_use.hpp"
#include "tracking/start_thread.hpp"

namespace nfsteer::tracking {
namespace {

using core::Snapshot;
using Turn = ConntrackFollower::Turn;

// Events gather for so long: a thread that is woken for each of them takes more time from those that carry
// the traffic than the events are worth.
constexpr int kGather_ms = 1;

int milliseconds_until(std::optional<Time> due) {
  if (!due) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, std::numeric_limits<int>::max()));
}

// That they are missing shows in no error of the socket.
core::Result<void> require_events() {
  const auto table = netlink::has_connection_table();
  if (!table) return tl::unexpected(table.error());
  if (!*table)
    return core::system_error("conntrack", "this kernel does not tell of connections",
                              "load nf_conntrack_netlink or use a kernel with CONFIG_NF_CT_NETLINK");
  if (conntrack_use().entries_max == 0)
    return {};  // /proc is not readable, or conntrack comes with the socket
  switch (conntrack_events_setting()) {
    case -1:
      return core::system_error("conntrack", "this kernel makes no events of connections",
                                "use a kernel with CONFIG_NF_CONNTRACK_EVENTS");
    case 0:
      return core::system_error("conntrack", "events of connections are switched off",
                                "set net.netfilter.nf_conntrack_events to 2, its default");
    default:
      return {};
  }
}

}  // namespace

core::Result<std::unique_ptr<Tracker>> Tracker::start(std::shared_ptr<const Snapshot> lookup,
                                                      std::size_t receive_bytes) {
  auto events = netlink::ConntrackEvents::open(receive_bytes);
  if (!events) return tl::unexpected(events.error());
  if (auto there = require_events(); !there) return tl::unexpected(there.error());
  auto wake = WakeEvent::create();
  if (!wake) return tl::unexpected(wake.error());
  std::unique_ptr<Tracker> tracker(new Tracker(lookup, *std::move(events), *std::move(wake)));
  if (auto read = tracker->follower_.read_table(std::chrono::steady_clock::now()); !read)
    return tl::unexpected(read.error());
  auto thread = start_thread("conntrack", [&self = *tracker] { self.run(); });
  if (!thread) return tl::unexpected(thread.error());
  tracker->thread_ = *std::move(thread);
  return tracker;
}

Tracker::Tracker(const std::shared_ptr<const Snapshot>& lookup, netlink::ConntrackEvents events,
                 std::unique_ptr<WakeEvent> wake)
    : follower_(slots_, counters_, stopping_, lookup, std::move(events)), wake_(std::move(wake)) {
  grow(*lookup);
}

Tracker::~Tracker() {
  stopping_.store(true, std::memory_order_relaxed);
  wake_->signal();
  if (thread_.joinable()) thread_.join();
}

void Tracker::grow(const Snapshot& lookup) {
  for (const core::SteeredService& each : lookup.services())
    for (const std::uint32_t slot : each.backend_slots)
      slots_.grow(std::size_t{slot} + 1);
}

void Tracker::follow(std::shared_ptr<const Snapshot> lookup) {
  grow(*lookup);
  {
    const std::scoped_lock lock(mutex_);
    pending_ = std::move(lookup);
  }
  wake_->signal();
}

bool Tracker::settle(std::chrono::milliseconds wait_max) {
  std::unique_lock lock(mutex_);
  const std::uint64_t asked = ++settle_asked_;
  wake_->signal();
  return settled_changed_.wait_for(lock, wait_max, [&] { return settled_ >= asked; });
}

Tracker::Stats Tracker::stats() const noexcept {
  return {.events = counters_.events.value(),
          .malformed = counters_.malformed.value(),
          .overflows = counters_.overflows.value(),
          .readings = counters_.readings.value(),
          .errors = counters_.errors.value(),
          .kept = counters_.kept.load(std::memory_order_relaxed)};
}

void Tracker::run() noexcept {
  while (!stopping_.load(std::memory_order_relaxed)) {
    take_over();
    const Turn done = follower_.turn(std::chrono::steady_clock::now());
    tell_settled(done);
    wait(done);
  }
}

void Tracker::take_over() {
  std::shared_ptr<const Snapshot> lookup;
  {
    const std::scoped_lock lock(mutex_);
    lookup = std::exchange(pending_, nullptr);
    if (std::exchange(settling_, settle_asked_) != settle_asked_) received_since_ = 0;
  }
  if (lookup) follower_.follow(std::move(lookup));
}

void Tracker::tell_settled(const Turn& done) {
  received_since_ += done.received;
  // In a flood the queue is never found empty, but what stood in it when this was asked for has been read.
  if (!done.emptied && received_since_ < follower_.queued_max()) return;
  const std::scoped_lock lock(mutex_);
  if (std::exchange(settled_, settling_) != settling_) settled_changed_.notify_all();
}

void Tracker::wait(const Turn& done) noexcept {
  if (!done.emptied) return;
  std::array<pollfd, 2> sources{{{.fd = wake_->fd(), .events = POLLIN, .revents = 0},
                                 {.fd = follower_.fd(), .events = POLLIN, .revents = 0}}};
  if (done.received > 0)
    poll(sources.data(), 1, kGather_ms);
  else
    poll(sources.data(), sources.size(), milliseconds_until(follower_.next_due()));
  wake_->clear();
}

}  // namespace nfsteer::tracking
