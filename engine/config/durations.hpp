// Durations as text: a whole number and a unit, "500ms", "5s", "90m", "3h".
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "config/places.hpp"
#include "core/result.hpp"

namespace nfsteer::config {

// `mend` completes the error about a duration out of range.
core::Result<std::chrono::milliseconds> read_duration(const Place& place, std::chrono::milliseconds min,
                                                      std::chrono::milliseconds max, std::string_view mend);

// The same, in whole seconds.
core::Result<std::chrono::seconds> read_seconds(const Place& place, std::chrono::seconds min,
                                                std::chrono::seconds max, std::string_view mend);

// In the largest unit that loses nothing.
std::string duration_text(std::chrono::milliseconds duration);

}  // namespace nfsteer::config
