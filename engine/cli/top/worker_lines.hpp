// The lines of the workers and their queues. Pure.
#pragma once

#include <cstddef>

#include "cli/top/text.hpp"
#include "cli/top/top_model.hpp"

namespace nfsteer::cli::top {

// Each writes to an empty line.
Line worker_heading(Line line);
Line worker_line(std::size_t worker, const Sample& sample, const Rates& rates, Line line);
// All workers in one line, and which one has most waiting.
Line worker_sums(const Sample& sample, Line line);

}  // namespace nfsteer::cli::top
