// A sample and its rates for programs: what `nfsteer top --json` prints, one object a line.
#pragma once

#include <boost/json/value.hpp>

#include "cli/top/top_model.hpp"

namespace nfsteer::cli::top {

// What is not known is null.
boost::json::value to_json(const Sample& sample, const Rates& rates);

}  // namespace nfsteer::cli::top
