// One page of plots of an outcome, by gnuplot: shares against weights, the distribution of response times,
// and shares over time with the changes.
#pragma once

#include <span>
#include <string>

#include "cli/simulate/outcome.hpp"
#include "core/result.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::cli::simulate {

// "svg" or "png", by the file's name. Errors (usage): any other.
core::Result<std::string> plot_format(const std::string& file);

// What gnuplot is told. Pure.
std::string plot_script(const lab::Scenario& scenario, std::span<const Outcome> outcomes,
                        const std::string& format);

// Errors: there is no gnuplot, or it fails; the file cannot be written.
core::Result<void> write_plot(const lab::Scenario& scenario, std::span<const Outcome> outcomes,
                              const std::string& file);

}  // namespace nfsteer::cli::simulate
