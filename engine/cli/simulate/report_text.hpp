// The tables that `nfsteer simulate` prints. Pure.
#pragma once

#include <span>
#include <string>

#include "cli/simulate/outcome.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::cli::simulate {

std::string report_text(const lab::Scenario& scenario, std::span<const Outcome> outcomes);

// "poisson arrivals at 900/s, ...": the workload in a line.
std::string scenario_text(const lab::Scenario& scenario);

}  // namespace nfsteer::cli::simulate
