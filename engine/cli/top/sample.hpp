// One answer of GET /v1/status, as far as `nfsteer top` shows it (control/status.hpp says what each value
// is).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "core/result.hpp"

namespace nfsteer::cli::top {

// Texts hold printable ASCII only: whatever else an answer holds has become '?', so that it cannot move the
// cursor of the terminal it is shown on.
struct BackendSample {
  std::string endpoint;  // ADDR, ADDR:PORT or [ADDR]:PORT; a service has each once
  std::string state;
  std::string health;      // empty: not checked
  std::string last_check;  // how it ended; empty: none has
  std::uint64_t weight = 0;
  std::uint64_t effective_weight = 0;
  double expected_share = 0;     // 0 to 1
  std::uint64_t opened = 0;      // connections, or the policy's picks where conntrack is not followed
  std::uint64_t active = 0;      // means nothing where conntrack is not followed
  std::uint64_t unanswered = 0;  // likewise
};

struct ServiceSample {
  std::string name;  // unique
  std::string vip;   // with the port
  std::string protocol;
  std::string mode;
  std::string policy;
  bool panic = false;
  bool on_backup = false;
  std::uint64_t unassigned = 0;  // new connections of which no backend is known: the ladder's, not followed
  std::uint64_t no_backend = 0;
  std::vector<BackendSample> backends;
};

// A worker, and its queues taken together.
struct WorkerSample {
  std::uint64_t packets = 0;
  std::uint64_t batches = 0;
  std::uint64_t waiting = 0;
  std::uint64_t dropped_full = 0;
  std::uint64_t dropped_user = 0;
};

struct Sample {
  std::string version;
  std::uint64_t pid = 0;
  double uptime_s = 0;  // the engine's own clock: what rates are measured by
  std::uint64_t revision = 0;
  std::uint64_t rule_commits = 0;
  std::uint64_t rule_errors = 0;
  bool followed = false;                // conntrack is: connections are counted, not the policy's picks
  std::uint64_t conntrack_entries = 0;  // 0: not known
  std::uint64_t conntrack_max = 0;
  std::vector<WorkerSample> workers;
  std::vector<ServiceSample> services;
};

// An error if the answer lacks what is shown: another version's engine.
core::Result<Sample> read_sample(const boost::json::value& status);

}  // namespace nfsteer::cli::top
