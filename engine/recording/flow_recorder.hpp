// Flows of services as conntrack tells of them, from the first packet to the end: what `nfsteer record`
// writes and the simulator plays again. Pure: events and the time are arguments. It sees every flow, whoever
// balanced it: the engine, or the ladder in the kernel.
//
// Flows that began before it are left out, since nobody knows when that was. A TCP flow ends when both sides
// have closed it, any other when conntrack forgets it; its last reply is then some time ago, and the duration
// includes that time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/flow.hpp"
#include "core/service.hpp"
#include "core/snapshot.hpp"
#include "experiment/record_file.hpp"
#include "netlink/conntrack_message.hpp"
#include "tracking/backend_index.hpp"

namespace nfsteer::recording {

using Time = std::chrono::steady_clock::time_point;

class FlowRecorder {
 public:
  using Emit = std::function<void(const experiment::FlowRecord&)>;

  struct Stats {
    std::uint64_t begun = 0;      // flows that began meanwhile
    std::uint64_t ended = 0;      // of these
    std::uint64_t elsewhere = 0;  // of these, to a backend that the services did not have
    std::uint64_t missed = 0;     // more began than are followed at a time
  };

  // `begin`: when the recording begins. `with_bytes`: conntrack counts them
  // (net.netfilter.nf_conntrack_acct), and tells when it forgets a flow; TCP flows are then emitted only
  // there, two minutes after their end. `flows_max`: that are followed at a time, about 120 bytes each.
  FlowRecorder(std::vector<core::Service> services, Time begin, bool with_bytes, std::size_t flows_max,
               Emit emit);
  FlowRecorder(const FlowRecorder&) = delete;
  FlowRecorder& operator=(const FlowRecorder&) = delete;

  // Events in the order in which they come.
  void apply(netlink::ConntrackChange change, const netlink::Connection& connection, Time now);
  // Emits what has not ended, as it is now.
  void finish(Time now);

  const Stats& stats() const { return stats_; }
  std::size_t open() const { return flows_.size(); }

 private:
  struct Flow {
    experiment::FlowRecord record;
    std::uint32_t id = 0;
    Time began;
    Time over;  // with `closed`
    netlink::TcpState state = netlink::TcpState::none;
    bool answered = false;
    bool closed = false;
  };
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const core::FlowKey& key) const noexcept { return key.hash(seed); }
  };
  using Flows = std::unordered_map<core::FlowKey, Flow, Hash>;

  static std::shared_ptr<const core::Snapshot> lookup_of(std::vector<core::Service> services);
  void begin(const netlink::Connection& connection, Time now);
  void take_state(Flow& flow, const netlink::Connection& connection, Time now);
  void end(Flows::iterator flow, Time now);

  tracking::BackendIndex index_;
  Time begin_;
  bool with_bytes_;
  std::size_t flows_max_;
  Emit emit_;
  Flows flows_;
  Stats stats_;
};

}  // namespace nfsteer::recording
