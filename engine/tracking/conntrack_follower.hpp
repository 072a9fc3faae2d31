// Keeps a ConnectionTable true to the kernel: receives conntrack's events, reads the kernel's table where
// that is needed, opens the socket again should it break. One thread's, which calls turn() again and again.
// When something is due follows from the times it is given, which never go back.
//
// The kernel makes no events of connections that began while nobody listened, those of an earlier engine,
// say. As long as some of these are kept, the table is read again every half minute, or as seldom as it takes
// to spend at most a fiftieth of the time on it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/counters.hpp"
#include "core/result.hpp"
#include "core/snapshot.hpp"
#include "netlink/conntrack_socket.hpp"
#include "tracking/connection_table.hpp"
#include "tracking/reading_pace.hpp"

namespace nfsteer::tracking {

// Readable from any thread.
struct FollowerCounters {
  core::Counter events;                // received
  core::Counter malformed;             // of these, could not be read
  core::Counter overflows;             // times that events were lost
  core::Counter readings;              // of the kernel's table
  core::Counter errors;                // sockets that broke or did not open, readings that failed
  std::atomic<std::uint64_t> kept{0};  // connections of services, active or not
};

class ConntrackFollower {
 public:
  // `counters` and `stopping` outlive it; a reading ends early once `stopping` is set.
  ConntrackFollower(core::SlotBank<ConnectionCounters>& slots, FollowerCounters& counters,
                    const std::atomic<bool>& stopping, std::shared_ptr<const core::Snapshot> lookup,
                    netlink::ConntrackEvents events);

  // Errors: the kernel's table cannot be read, which turn() would try again.
  core::Result<void> read_table(Time now);
  // turn() reads the kernel's table if a service is new.
  void follow(std::shared_ptr<const core::Snapshot> lookup);

  struct Turn {
    std::size_t received = 0;  // datagrams
    bool emptied = false;      // none is left
  };
  // Applies what is queued, up to a limit, and does what else is due.
  Turn turn(Time now);

  // Readable when there are events; -1 while the socket is broken.
  int fd() const { return events_ ? events_->fd() : -1; }
  // When turn() is to be called even without an event.
  std::optional<Time> next_due() const;
  // More datagrams than the socket's queue can hold.
  std::size_t queued_max() const;

 private:
  Turn receive(std::size_t datagrams_max, Time now);
  void apply(std::span<const std::uint8_t> datagram, Time now);
  void lost(Time now);
  void reopen(Time now);
  bool is_reading_due(Time now) const;
  core::Result<void> visit_all(Time now);
  bool has_services(core::Family family) const;

  FollowerCounters& counters_;
  const std::atomic<bool>& stopping_;
  ConnectionTable table_;
  std::optional<netlink::ConntrackEvents> events_;
  const std::size_t receive_bytes_;
  std::vector<std::uint8_t> buffer_;
  ReadingPace pace_;     // of readings after a loss or a failure
  bool is_new_ = false;  // some service, to which no loss must delay the reading
  Time read_again_;      // for connections without events
  Time reopen_at_;
  Time::duration reopen_pause_;
};

}  // namespace nfsteer::tracking
