// What `nfsteer simulate` shows of each policy.
#pragma once

#include <optional>

#include "lab/report.hpp"

namespace nfsteer::cli::simulate {

// By the wall clock: all that is not the same in every run.
struct Speed {
  double run_s = 0;                 // the whole run
  double decisions_per_second = 0;  // of the policy alone, asked for one flow after the other
};

struct Outcome {
  lab::Report report;
  std::optional<Speed> speed;  // nothing: --no-timing
};

}  // namespace nfsteer::cli::simulate
