// One run: a scenario under one policy, as a sequence of events in virtual time. engine/lab/README.md
// explains the model.
#pragma once

#include "core/policy_spec.hpp"
#include "core/result.hpp"
#include "lab/decisions.hpp"
#include "lab/report.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::lab {

// The same scenario, policy and seed give the same report. `policy` is one that policy::check() has found
// right. Errors: of a policy that comes from a file.
core::Result<Report> simulate(const Scenario& scenario, const core::PolicySpec& policy,
                              const FileLoader& load_file);

}  // namespace nfsteer::lab
