// What the engine says of itself: values, and their JSON form (GET /v1/status, `nfsteer status --json`).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "core/counters.hpp"
#include "core/queue_layout.hpp"
#include "core/service.hpp"

namespace nfsteer::control {

struct BackendStatus {
  core::Backend backend;
  std::uint64_t picks = 0;    // new flows the policy gave it
  std::uint64_t packets = 0;  // of its flows, seen by the engine
  std::uint64_t bytes = 0;
};

struct ServiceStatus {
  core::Service service;
  std::vector<BackendStatus> backends;  // as service.backends
  std::uint64_t ladder = 0;             // new connections that the kernel's ladder balanced
  std::uint64_t no_backend = 0;
};

struct WorkerStatus {
  std::array<std::uint64_t, core::kEvents> events{};
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
};

boost::json::value to_json(const Status& status);

}  // namespace nfsteer::control
