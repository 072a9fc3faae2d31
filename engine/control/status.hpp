// What the engine says of itself: values, and their JSON form (GET /v1/status, `nfsteer status --json`).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "control/shadow_log.hpp"
#include "core/availability.hpp"
#include "core/counters.hpp"
#include "core/queue_layout.hpp"
#include "core/service.hpp"
#include "policy/guarded.hpp"

namespace nfsteer::control {

// What conntrack has said of connections, whoever balanced them: the engine, the ladder, an earlier engine.
struct ConnectionStatus {
  std::uint64_t active = 0;      // open now; TCP connections until both ends have closed
  std::uint64_t opened = 0;      // since the engine's start
  std::uint64_t unanswered = 0;  // of those TCP connections: the backend refused, or did not answer in time
  // Of connections that conntrack has forgotten meanwhile. Zero without net.netfilter.nf_conntrack_acct.
  std::uint64_t packets_in = 0, bytes_in = 0;    // from clients
  std::uint64_t packets_out = 0, bytes_out = 0;  // to clients
};

struct HealthStatus {
  core::Health health = core::Health::up;
  bool checked = false;
  std::uint64_t checks_passed = 0;
  std::uint64_t checks_failed = 0;
  std::string last_result;  // of the last check: "status 200", "connection refused"; empty: none has ended
};

// What policies see of a backend beside its open connections.
struct LiveStatus {
  std::uint64_t pending = 0;  // given to it, not told of by conntrack yet; where the policy asks for it
  double handshake_us = 0;    // moving average of its TCP handshakes, core/live_backend.hpp; 0: not known
};

struct BackendStatus {
  core::Backend backend;      // as configured
  std::uint64_t picks = 0;    // new flows the policy gave it
  std::uint64_t packets = 0;  // of its flows, seen by the engine
  std::uint64_t bytes = 0;
  core::BackendState state = core::BackendState::active;
  std::uint64_t effective_weight = 0;  // what the policy and the ladder go by now
  ConnectionStatus connections;
  LiveStatus live;
  HealthStatus health;
  ShadowCounts shadow;
};

struct ServiceStatus {
  core::Service service;
  std::vector<BackendStatus> backends;  // as service.backends
  std::uint64_t ladder = 0;             // new connections that the kernel's ladder balanced
  std::uint64_t no_backend = 0;
  bool panic = false;      // too few backends are healthy: all are used
  bool on_backup = false;  // the backup backends are used
  ShadowTotals shadow;     // where service.shadow is
  // Of policies from files.
  std::optional<policy::GuardReport> policy_report;
  std::optional<policy::GuardReport> shadow_report;
};

struct WorkerStatus {
  std::array<std::uint64_t, core::kEvents> events{};
  std::array<std::uint64_t, core::kBatchSizeBuckets> batch_sizes{};  // core/counters.hpp says which is which
  std::array<std::uint64_t, core::kDecisionBuckets> decisions{};
  std::uint64_t decision_ns = 0;  // all decisions together
};

// The kernel's connection table of this network namespace, and what is heard of it.
struct ConntrackStatus {
  bool followed = false;      // connections are counted
  std::uint64_t entries = 0;  // of everybody; 0: not known
  std::uint64_t entries_max = 0;
  std::uint64_t events = 0;     // heard since the start
  std::uint64_t overflows = 0;  // times that events were lost
  std::uint64_t readings = 0;   // of the whole table: one at the start, one after each loss
};

struct ReloadStatus {
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  double last_success_s = 0;  // seconds since the epoch; 0: there was none
};

struct QueueStatus {
  std::uint16_t queue = 0;
  core::QueueGroup group = core::QueueGroup::first;
  unsigned worker = 0;
  std::uint64_t waiting = 0;       // packets in the kernel, without a verdict
  std::uint64_t dropped_full = 0;  // by the kernel: the queue was full
  std::uint64_t dropped_user = 0;  // by the kernel: the socket's buffer was full
};

struct InterfaceStatus {
  std::string name;  // "local" for this host's own sockets
  std::uint64_t packets = 0;
};

struct Status {
  int pid = 0;
  double uptime_s = 0;
  std::vector<ServiceStatus> services;
  std::vector<WorkerStatus> workers;
  std::vector<QueueStatus> queues;
  std::vector<InterfaceStatus> interfaces;
  std::uint64_t rule_commits = 0;
  std::uint64_t rule_errors = 0;
  std::uint64_t rule_repairs = 0;  // tables of rules put right after others had changed them
  std::uint64_t revision = 0;      // Engine::revision()
  ConntrackStatus conntrack;
  ReloadStatus reloads;
};

boost::json::value to_json(const Status& status);

// One service, or one of its backends, by index, as they stand in the whole; and whether connections are
// counted (ConntrackStatus::followed).
boost::json::object to_json(const ServiceStatus& status, bool followed);
boost::json::object to_json(const ServiceStatus& status, std::size_t backend, bool followed);

}  // namespace nfsteer::control
