#include "recording/flow_recorder.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <random>
#include <utility>

#include <linux/netfilter/nf_conntrack_common.h>

namespace nfsteer::recording {
namespace {

using netlink::Connection;
using netlink::ConntrackChange;
using netlink::TcpState;

bool is_over(TcpState state) {
  return state == TcpState::last_ack || state == TcpState::time_wait || state == TcpState::close;
}

bool is_answered(const Connection& connection) {
  return (connection.status & IPS_SEEN_REPLY) != 0;
}

template <typename Unit, typename Number>
Number whole(Time::duration duration) {
  return static_cast<Number>(std::max<std::int64_t>(0, duration / Unit(1)));
}

}  // namespace

FlowRecorder::FlowRecorder(std::vector<core::Service> services, Time begin, bool with_bytes,
                           std::size_t flows_max, Emit emit)
    : index_(lookup_of(std::move(services))),
      begin_(begin),
      with_bytes_(with_bytes),
      flows_max_(flows_max),
      emit_(std::move(emit)),
      flows_(0, Hash{std::random_device{}()}) {}

std::shared_ptr<const core::Snapshot> FlowRecorder::lookup_of(std::vector<core::Service> services) {
  std::vector<core::SteeredService> steered;
  std::uint32_t slot = 0;
  for (core::Service& service : services) {
    core::SteeredService& each = steered.emplace_back();
    for (std::size_t i = 0; i < service.backends.size(); ++i)
      each.backend_slots.push_back(slot++);
    each.service = std::move(service);
  }
  return std::make_shared<const core::Snapshot>(std::move(steered));
}

void FlowRecorder::apply(ConntrackChange change, const Connection& connection, Time now) {
  const auto known = flows_.find(connection.original);
  const bool is_same = known != flows_.end() && known->second.id == connection.id;
  switch (change) {
    case ConntrackChange::created:
      if (known != flows_.end()) end(known, now);  // its last event was lost
      return begin(connection, now);
    case ConntrackChange::updated:
      if (is_same) take_state(known->second, connection, now);
      if (is_same && known->second.closed && !with_bytes_) end(known, now);
      return;
    case ConntrackChange::destroyed:
      if (!is_same) return;
      take_state(known->second, connection, now);
      known->second.record.bytes_in = connection.original_bytes;
      known->second.record.bytes_out = connection.reply_bytes;
      return end(known, now);
  }
}

void FlowRecorder::begin(const Connection& connection, Time now) {
  if ((connection.status & IPS_DST_NAT) == 0) return;
  const auto place =
      index_.find(connection.original, {connection.reply.source, connection.reply.source_port});
  if (place.service == tracking::kNone) return;
  ++stats_.begun;
  if (place.slot == tracking::kNone) {
    ++stats_.elsewhere;
    return;
  }
  if (flows_.size() >= flows_max_) {
    ++stats_.missed;
    return;
  }
  Flow flow;
  flow.id = connection.id;
  flow.began = now;
  flow.record.start_ns = whole<std::chrono::nanoseconds, std::uint64_t>(now - begin_);
  flow.record.key = connection.original;
  flow.record.service = static_cast<std::uint16_t>(place.service);
  const core::Backend& backend = index_.lookup().place_of(place.slot).backend();
  flow.record.backend = {backend.address, backend.port};
  take_state(flow, connection, now);
  flows_.emplace(connection.original, std::move(flow));
}

// Events that only tell of a mark, say, carry no state.
void FlowRecorder::take_state(Flow& flow, const Connection& connection, Time now) {
  if (!flow.answered && is_answered(connection)) {
    flow.answered = true;
    // Below a microsecond is one: 0 is unknown.
    if (connection.original.protocol == IPPROTO_TCP)
      flow.record.handshake_us =
          std::max(1U, whole<std::chrono::microseconds, std::uint32_t>(now - flow.began));
  }
  if (connection.original.protocol != IPPROTO_TCP || connection.tcp_state == TcpState::none) return;
  if (!flow.closed && is_over(connection.tcp_state)) {
    flow.closed = true;
    flow.over = now;
  }
  flow.state = connection.tcp_state;
}

void FlowRecorder::end(Flows::iterator flow, Time now) {
  Flow& it = flow->second;
  it.record.answered = it.answered;
  it.record.duration_us =
      whole<std::chrono::microseconds, std::uint64_t>((it.closed ? it.over : now) - it.began);
  emit_(it.record);
  ++stats_.ended;
  flows_.erase(flow);
}

void FlowRecorder::finish(Time now) {
  while (!flows_.empty()) {
    const bool was_open = !flows_.begin()->second.closed;
    end(flows_.begin(), now);
    if (was_open) --stats_.ended;
  }
}

}  // namespace nfsteer::recording
