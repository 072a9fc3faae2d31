// Values that scenarios have and configurations have not: fractions, times below a millisecond,
// distributions.
#pragma once

#include <string_view>

#include "config/places.hpp"
#include "core/result.hpp"
#include "lab/distribution.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::experiment {

inline constexpr lab::Nanoseconds kTimeMax = 1000 * 3600 * lab::kSecond;

// A decimal fraction without exponent: 0.9, 12.
core::Result<double> read_decimal(const config::Place& place, double min, double max, std::string_view mend);

// A decimal fraction and a unit: 250us, 1.5ms, 10s. `mend` completes the error about a time out of range.
core::Result<lab::Nanoseconds> read_time(const config::Place& place, lab::Nanoseconds min,
                                         lab::Nanoseconds max, std::string_view mend);

// Of times: "10ms", of which `usual` says the shape; "pareto,mean=10ms,alpha=1.5"; or the map of the same.
core::Result<lab::Distribution> read_times(const config::Place& place, lab::Shape usual);

// Of bytes, likewise: "1500", a constant.
core::Result<lab::Distribution> read_sizes(const config::Place& place);

}  // namespace nfsteer::experiment
