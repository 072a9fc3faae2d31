// Knows how many connections each backend has, live: a ConntrackFollower in a thread of its own, so that a
// flood of events never slows the control thread.
//
// Of the network namespace of the thread that starts it. Start it before any rule sends connections to
// backends, since the kernel makes events only of connections that begin while somebody listens.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "core/counters.hpp"
#include "core/result.hpp"
#include "core/snapshot.hpp"
#include "tracking/connection_counters.hpp"
#include "tracking/conntrack_follower.hpp"
#include "tracking/wake_event.hpp"

namespace nfsteer::tracking {

class Tracker {
 public:
  struct Stats {
    std::uint64_t events = 0;     // received
    std::uint64_t malformed = 0;  // messages that could not be read
    std::uint64_t overflows = 0;  // times that events were lost
    std::uint64_t readings = 0;   // of the kernel's table
    std::uint64_t errors = 0;     // sockets that broke or did not open, readings that failed
    std::uint64_t kept = 0;       // connections of services, active or not
  };

  static constexpr std::size_t kReceiveBytes = std::size_t{8} << 20;

  // Listens, reads the table once, and starts the thread. `receive_bytes`: kernel memory for events not yet
  // received, about 1300 bytes each. Errors: no CAP_NET_ADMIN, no conntrack events in this kernel.
  static core::Result<std::unique_ptr<Tracker>> start(std::shared_ptr<const core::Snapshot> lookup,
                                                      std::size_t receive_bytes = kReceiveBytes);

  // Ends the thread; of a reading under way, the kernel is let finish: less than a second for a million
  // entries.
  ~Tracker();
  Tracker(const Tracker&) = delete;
  Tracker& operator=(const Tracker&) = delete;

  // Control thread only, and before workers are told of slots that are new. The thread takes the lookup over
  // before its next batch, with the effects of ConnectionTable::follow(); of several, the last one.
  void follow(std::shared_ptr<const core::Snapshot> lookup);
  // Waits until the thread has taken over what follow() was last given, has read the table if a service is
  // new, and has applied every event that was queued at this call. False: not within `wait_max`.
  bool settle(std::chrono::milliseconds wait_max = std::chrono::seconds(2));

  // From any thread, for slots of a lookup that start() or follow() was given before.
  Totals totals(std::uint32_t slot) const noexcept { return slots_[slot].totals(); }
  std::uint64_t active(std::uint32_t slot) const noexcept { return slots_[slot].live.active(); }
  // For policies; stays where it is for as long as the tracker lives.
  core::LiveBackend& live(std::uint32_t slot) noexcept { return slots_[slot].live; }
  Stats stats() const noexcept;

 private:
  Tracker(const std::shared_ptr<const core::Snapshot>& lookup, netlink::ConntrackEvents events,
          std::unique_ptr<WakeEvent> wake);

  void grow(const core::Snapshot& lookup);
  void run() noexcept;
  void take_over();
  void tell_settled(const ConntrackFollower::Turn& done);
  void wait(const ConntrackFollower::Turn& done) noexcept;

  core::SlotBank<ConnectionCounters> slots_;  // grown by the control thread, written by the other
  FollowerCounters counters_;
  std::atomic<bool> stopping_{false};
  ConntrackFollower follower_;  // the thread's, once it runs
  std::uint64_t settling_ = 0;  // likewise: the request that is being answered
  std::size_t received_since_ = 0;

  std::unique_ptr<WakeEvent> wake_;
  std::mutex mutex_;  // of the four below
  std::condition_variable settled_changed_;
  std::shared_ptr<const core::Snapshot> pending_;
  std::uint64_t settle_asked_ = 0;
  std::uint64_t settled_ = 0;
  std::thread thread_;
};

}  // namespace nfsteer::tracking
