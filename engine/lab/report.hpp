// What a run found out about one policy. lab/metrics.hpp computes the figures that go by a name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/policy_spec.hpp"
#include "core/service.hpp"
#include "lab/disruption.hpp"
#include "lab/histogram.hpp"
#include "lab/scenario.hpp"
#include "lab/statistics.hpp"

namespace nfsteer::lab {

// Of flows that came after the warm-up, but for peak_open and busy.
struct BackendResult {
  core::Backend backend;        // as configured in the end
  std::uint64_t decisions = 0;  // flows that the policy gave it
  double expected = 0;          // those that the weights would have, as they were at each time
  std::uint64_t bytes = 0;
  std::uint64_t answered = 0;
  std::uint64_t rejected = 0;    // its queue was full
  std::uint64_t unanswered = 0;  // it failed
  std::uint32_t peak_open = 0;   // the most connections at a time
  std::optional<double> busy;    // part of its capacity over the whole run; nothing: it has no limit
  Histogram response;            // nanoseconds
};

struct ChangeResult {
  Nanoseconds at = 0;
  std::string what;                      // "drain 10.0.0.5", "10.0.0.5 is down"
  std::optional<Disruption> disruption;  // nothing: no weight changed, or it is not measured
};

struct Report {
  core::PolicySpec policy;
  std::uint64_t decisions = 0;
  std::uint64_t refused = 0;            // the policy had no backend
  std::vector<BackendResult> backends;  // in the order in which they came
  ChiSquare chi_square;                 // of the decisions against the weights, between changes
  Histogram response;  // nanoseconds, from the client's first packet to the end of the answer
  Histogram waiting;   // in a server's queue
  std::vector<ChangeResult> changes;
  std::uint64_t builds = 1;  // of the policy
  Nanoseconds end = 0;       // of the last flow

  // Decisions over time: of each slice of the run, for each backend.
  Nanoseconds slice = 0;
  std::vector<std::vector<std::uint32_t>> timeline;
};

}  // namespace nfsteer::lab
