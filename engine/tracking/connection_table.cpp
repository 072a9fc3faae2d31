#include "tracking/connection_table.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include <linux/netfilter/nf_conntrack_common.h>

#include "core/backend_key.hpp"

namespace nfsteer::tracking {
namespace {

using core::Snapshot;
using netlink::Connection;
using netlink::ConntrackChange;
using netlink::TcpState;

bool is_over(TcpState state) {
  return state == TcpState::last_ack || state == TcpState::time_wait || state == TcpState::close;
}

bool has_answer(TcpState state) {
  return state != TcpState::none && state != TcpState::syn_sent && state != TcpState::close;
}

Endpoint backend_of(const Connection& connection) {
  return {connection.reply.source, connection.reply.source_port};
}

BackendIndex::Place find(const BackendIndex& index, const Connection& connection) {
  if ((connection.status & IPS_DST_NAT) == 0) return {};
  return index.find(connection.original, backend_of(connection));
}

void count_latency(ConnectionCounters& counters, Time::duration measured, Time now) {
  const double latency_us = std::chrono::duration<double, std::micro>(measured).count();
  counters.live.add_latency(std::max(latency_us, core::kLatencyMin_us),
                            static_cast<std::uint64_t>(now.time_since_epoch() / std::chrono::nanoseconds(1)));
}

bool stands_for_the_same(const core::BackendPlace& before, const core::BackendPlace& after) {
  return after.service != nullptr && core::key_of(before.service->service, before.backend()) ==
                                         core::key_of(after.service->service, after.backend());
}

}  // namespace

ConnectionTable::ConnectionTable(core::SlotBank<ConnectionCounters>& counters, std::uint64_t seed,
                                 std::shared_ptr<const Snapshot> lookup)
    : counters_(counters), index_(std::move(lookup)), map_(seed), waiting_(map_) {}

bool ConnectionTable::follow(std::shared_ptr<const Snapshot> lookup) {
  BackendIndex next(std::move(lookup));
  next.take_over_read(index_);
  for (const core::SteeredService& steered : index_.lookup().services())
    for (const std::uint32_t slot : steered.backend_slots)
      if (!stands_for_the_same(index_.lookup().place_of(slot), next.lookup().place_of(slot)))
        counters_[slot].reset();
  index_ = std::move(next);

  map_.for_each([this](std::uint32_t index) {
    TrackedConnection& entry = map_[index];
    if (entry.gone) return;
    const BackendIndex::Place place = index_.find(entry.original, entry.backend);
    if (place.service == kNone) return forget(index);
    if (place.slot == entry.slot) return;
    const bool active = entry.active;
    set_active(entry, false);
    entry.slot = place.slot;
    set_active(entry, active);
  });
  return needs_reading();
}

void ConnectionTable::apply(ConntrackChange change, const Connection& connection, Time now) {
  switch (change) {
    case ConntrackChange::created:
      return created(connection, now);
    case ConntrackChange::updated:
      return updated(connection, now);
    case ConntrackChange::destroyed:
      return destroyed(connection, now);
  }
}

// The kernel makes an id of the entry's place in memory and its tuple: two connections of one tuple can have
// the same one if the second was given the place of the first.
bool ConnectionTable::is_same(const TrackedConnection& entry, const Connection& connection) const {
  return !entry.gone && entry.id == connection.id && entry.backend == backend_of(connection);
}

std::uint32_t ConnectionTable::add(const Connection& connection, const BackendIndex::Place& place) {
  const std::uint32_t index = map_.insert(connection.original, connection.zone);
  TrackedConnection& entry = map_[index];
  entry.backend = backend_of(connection);
  entry.id = connection.id;
  entry.slot = place.slot;
  entry.reading = reading_number_;
  ++unheard_;
  set_active(entry, true);
  return index;
}

void ConnectionTable::created(const Connection& connection, Time now) {
  const BackendIndex::Place place = find(index_, connection);
  std::uint32_t index = map_.find(connection.original, connection.zone);
  if (index != kNone && is_same(map_[index], connection)) {
    // A reading was ahead of this event and of those that tell what has become of it.
    TrackedConnection& entry = map_[index];
    hear(entry);
    if (!entry.counted) count_opened(entry);
    entry.judged = false;
    entry.state = TcpState::none;
    return take_state(index, connection.tcp_state, now);
  }
  if (place.service == kNone) return;
  if (index != kNone) {
    const TrackedConnection& known = map_[index];
    // One that came and went before a reading told of the one that has its tuple now.
    if (settling_ && known.visited && known.reading == reading_number_) {
      if (place.slot != kNone) counters_[place.slot].opened.add();
      return;
    }
    end(index);
  }
  index = add(connection, place);
  hear(map_[index]);
  count_opened(map_[index]);
  take_state(index, connection.tcp_state, now);
}

// Of one that is not known: it was destroyed before the last reading, or a reading will tell of it.
void ConnectionTable::updated(const Connection& connection, Time now) {
  const std::uint32_t index = map_.find(connection.original, connection.zone);
  if (index == kNone || !is_same(map_[index], connection)) return;
  hear(map_[index]);
  take_state(index, connection.tcp_state, now);
}

void ConnectionTable::destroyed(const Connection& connection, Time now) {
  const std::uint32_t index = map_.find(connection.original, connection.zone);
  if (index != kNone && is_same(map_[index], connection)) {
    hear(map_[index]);
    count_traffic(map_[index].slot, connection);
    take_state(index, connection.tcp_state, now);
    end(index);
    if (reading_) remember_gone(add(connection, {}));
    return;
  }
  const BackendIndex::Place place = find(index_, connection);
  if (place.service == kNone) return;
  count_traffic(place.slot, connection);
  if (!reading_) return;
  if (index != kNone) {
    // What is known as of this reading came after the destroyed one, anything else before.
    if (map_[index].reading == reading_number_) return;
    end(index);
  }
  remember_gone(add(connection, {}));
}

void ConnectionTable::hear(TrackedConnection& entry) {
  if (!entry.heard) --unheard_;
  entry.heard = true;
  entry.reading = reading_number_;
  entry.visited = false;
}

// Events that only tell of a mark, say, carry no state.
void ConnectionTable::take_state(std::uint32_t index, TcpState state, Time now) {
  TrackedConnection& entry = map_[index];
  if (entry.original.protocol != IPPROTO_TCP || state == TcpState::none) return;
  if (is_over(entry.state) && state == TcpState::syn_sent) {
    count_opened(entry);
    entry.judged = false;
  }
  if (state == TcpState::syn_sent) {
    if (!entry.judged && !entry.waits) waiting_.add(index, now);
  } else if (state == TcpState::close && entry.waits) {
    unanswered(index);
  } else if (has_answer(state) && (entry.waits || entry.state == TcpState::syn_sent)) {
    if (entry.slot != kNone) counters_[entry.slot].unanswered_in_a_row.reset();
    if (entry.slot != kNone && entry.waits) count_latency(counters_[entry.slot], now - entry.since, now);
    if (entry.waits) waiting_.remove(index);
    entry.judged = true;
  }
  entry.state = state;
  set_active(entry, !is_over(state));
}

void ConnectionTable::end(std::uint32_t index) {
  if (map_[index].waits) unanswered(index);
  forget(index);
}

void ConnectionTable::forget(std::uint32_t index) {
  TrackedConnection& entry = map_[index];
  if (entry.waits) waiting_.remove(index);
  set_active(entry, false);
  if (!entry.heard) --unheard_;
  if (entry.gone) --gone_;
  map_.erase(index);
}

void ConnectionTable::remember_gone(std::uint32_t index) {
  TrackedConnection& entry = map_[index];
  set_active(entry, false);
  hear(entry);
  entry.gone = true;
  ++gone_;
}

void ConnectionTable::begin_reading() {
  ++reading_number_;
  reading_ = settling_ = true;
}

void ConnectionTable::visit(const Connection& connection, Time now) {
  std::uint32_t index = map_.find(connection.original, connection.zone);
  if (index != kNone) {
    TrackedConnection& entry = map_[index];
    // Events of this time know more: the kernel may have written this entry before they were made.
    if (entry.reading == reading_number_) return;
    if (is_same(entry, connection)) {
      entry.reading = reading_number_;
      entry.visited = true;
      const bool reopened = is_over(entry.state) && !is_over(connection.tcp_state);
      if (reopened && connection.tcp_state != TcpState::syn_sent) count_opened(entry);
      return take_state(index, connection.tcp_state, now);
    }
    end(index);
  }
  const BackendIndex::Place place = find(index_, connection);
  if (place.service == kNone) return;
  index = add(connection, place);
  TrackedConnection& entry = map_[index];
  entry.visited = true;
  const bool has_events = index_.was_read(place.service);
  if (has_events) count_opened(entry);
  entry.judged = !has_events;
  take_state(index, connection.tcp_state, now);
}

void ConnectionTable::end_reading() {
  map_.for_each([this](std::uint32_t index) {
    // A TCP connection that was answered stays longer in conntrack than kAnswerMax: one that still waits for
    // its answer and is not there any more never got one, and end() counts it so.
    if (map_[index].reading != reading_number_) return end(index);
    if (map_[index].gone) forget(index);
  });
  reading_ = false;
  index_.set_all_read(true);
}

void ConnectionTable::give_up_reading() {
  map_.for_each([this](std::uint32_t index) {
    if (map_[index].gone) forget(index);
  });
  reading_ = false;
}

void ConnectionTable::caught_up() {
  settling_ = reading_;
  if (std::exchange(has_lost_, false)) give_up_waiting();
}

void ConnectionTable::was_deaf() {
  index_.set_all_read(false);
  give_up_waiting();
}

void ConnectionTable::give_up_waiting() {
  for (; waiting_.oldest() != kNone; waiting_.remove(waiting_.oldest()))
    map_[waiting_.oldest()].judged = true;
}

void ConnectionTable::expire(Time now) {
  if (has_lost_) return;
  while (waiting_.oldest() != kNone && map_[waiting_.oldest()].since + kAnswerMax <= now)
    unanswered(waiting_.oldest());
}

std::optional<Time> ConnectionTable::next_expiry() const {
  if (waiting_.oldest() == kNone || has_lost_) return std::nullopt;
  return map_[waiting_.oldest()].since + kAnswerMax;
}

void ConnectionTable::count_opened(TrackedConnection& entry) {
  entry.counted = true;
  if (entry.slot == kNone) return;
  counters_[entry.slot].opened.add();
  counters_[entry.slot].live.confirmed();
}

void ConnectionTable::count_traffic(std::uint32_t slot, const Connection& connection) {
  if (slot == kNone) return;
  ConnectionCounters& counters = counters_[slot];
  counters.packets_in.add(connection.original_packets);
  counters.bytes_in.add(connection.original_bytes);
  counters.packets_out.add(connection.reply_packets);
  counters.bytes_out.add(connection.reply_bytes);
}

void ConnectionTable::set_active(TrackedConnection& entry, bool active) {
  if (entry.active == active) return;
  entry.active = active;
  if (entry.slot != kNone) counters_[entry.slot].change_active(active);
}

void ConnectionTable::unanswered(std::uint32_t index) {
  waiting_.remove(index);
  TrackedConnection& entry = map_[index];
  entry.judged = true;
  if (entry.slot == kNone) return;
  counters_[entry.slot].unanswered.add();
  counters_[entry.slot].unanswered_in_a_row.add();
}

}  // namespace nfsteer::tracking
