// How many connections each backend has, from conntrack's events and, where these are missing, its table.
// Pure: events, entries of the table and the time are arguments.
//
// Kept are the connections whose destination was translated (IPS_DST_NAT) and whose original destination
// belongs to a service. One is active until both ends have closed it: TCP until last_ack, time_wait or close
// (conntrack forgets it up to two minutes later), everything else until conntrack forgets it. One whose
// backend the service no longer has is kept, and counts again where the backend comes back.
//
// Opened counts what began while events were listened to: what an event says is new, TCP entries that a SYN
// reopened, and what a reading brings to light of a service that an earlier reading has gone through (its
// event was lost). Not: connections that come and go while events are lost, and those older than the engine
// or the service.
//
// Unanswered counts each TCP connection once that is in syn_sent for kAnswerMax, or goes from there to close,
// or is destroyed there: the kernel does that when the only answer is a reset. Where events are lost, nothing
// is held against a backend for the connections of that time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/counters.hpp"
#include "core/snapshot.hpp"
#include "netlink/conntrack_message.hpp"
#include "tracking/backend_index.hpp"
#include "tracking/connection_counters.hpp"
#include "tracking/connection_map.hpp"
#include "tracking/waiting_list.hpp"

namespace nfsteer::tracking {

inline constexpr std::chrono::seconds kAnswerMax{3};

class ConnectionTable {
 public:
  // Counts in `counters`, which outlive it and have every slot of the lookup, by slot.
  ConnectionTable(core::SlotBank<ConnectionCounters>& counters, std::uint64_t seed,
                  std::shared_ptr<const core::Snapshot> lookup);
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  // Resolves every kept connection anew. The totals of a slot start from zero where it no longer stands for
  // the same service name, backend address and port; so leave out lookups that lack a backend only for the
  // moment of a change. Connections of services that are gone are dropped. True: the kernel's table is to be
  // read, as needs_reading() says.
  bool follow(std::shared_ptr<const core::Snapshot> lookup);
  const core::Snapshot& lookup() const { return index_.lookup(); }
  // There is a service whose VIP, protocol and port no reading has gone through yet.
  bool needs_reading() const { return !index_.all_read(); }

  // An event, in the order in which they come. Time never goes back.
  void apply(netlink::ConntrackChange change, const netlink::Connection& connection, Time now);

  // Counts the SYNs that have waited for kAnswerMax; the next one is due at next_expiry().
  void expire(Time now);
  std::optional<Time> next_expiry() const;

  // A reading of the kernel's table, entry by entry, in any order and also more than once. All events that
  // were queued when it began have been applied before; others may be applied at any time during it, and
  // after it, older ones than the entries included: what is kept is then what the kernel holds as soon as the
  // last one is applied, if none was lost.
  void begin_reading();
  void visit(const netlink::Connection& connection, Time now);
  void end_reading();      // ends what was not visited
  void give_up_reading();  // keeps it

  // Every event that was queued has been applied.
  void caught_up();
  // Events were lost, behind those that are queued now. A reading is to follow caught_up().
  void lost_events() { has_lost_ = true; }
  // For a while nobody listened. The kernel makes no events of what began then; a reading shows it.
  void was_deaf();

  std::size_t size() const { return map_.size() - gone_; }
  // Those that only readings have told of: no event may ever say that they end, only another reading.
  std::size_t unheard() const { return unheard_; }

 private:
  bool is_same(const TrackedConnection& entry, const netlink::Connection& connection) const;
  std::uint32_t add(const netlink::Connection& connection, const BackendIndex::Place& place);
  void created(const netlink::Connection& connection, Time now);
  void updated(const netlink::Connection& connection, Time now);
  void destroyed(const netlink::Connection& connection, Time now);
  void hear(TrackedConnection& entry);
  void take_state(std::uint32_t index, netlink::TcpState state, Time now);
  void end(std::uint32_t index);     // as conntrack has forgotten it
  void forget(std::uint32_t index);  // as if it had never been kept
  void remember_gone(std::uint32_t index);

  void count_opened(TrackedConnection& entry);
  void count_traffic(std::uint32_t slot, const netlink::Connection& connection);
  void set_active(TrackedConnection& entry, bool active);
  void give_up_waiting();
  void unanswered(std::uint32_t index);

  core::SlotBank<ConnectionCounters>& counters_;
  BackendIndex index_;
  ConnectionMap map_;
  WaitingList waiting_;
  std::uint32_t reading_number_ = 0;
  bool reading_ = false;
  bool settling_ = false;  // events older than what the last reading told may still come
  bool has_lost_ = false;
  std::size_t gone_ = 0;
  std::size_t unheard_ = 0;
};

}  // namespace nfsteer::tracking
