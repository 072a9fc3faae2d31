// The outcome of `nfsteer simulate` as JSON: engine/lab/README.md describes it. Pure.
#pragma once

#include <span>

#include <boost/json/object.hpp>

#include "cli/simulate/outcome.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::cli::simulate {

// Two runs of the same scenario give the same bytes, but for `timing`.
boost::json::object report_json(const lab::Scenario& scenario, std::span<const Outcome> outcomes);

}  // namespace nfsteer::cli::simulate
