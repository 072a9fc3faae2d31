// The view on a terminal: asks the engine at intervals, follows keys and signals, draws.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "cli/top/sample.hpp"
#include "core/result.hpp"

namespace nfsteer::cli::top {

struct LiveSettings {
  std::string control;
  std::chrono::duration<double> interval{1};
  std::uint64_t count = 0;  // samples after `first`; 0: until it is ended
  bool unicode = true;
  bool styled = true;
};

// Until q, Ctrl-C, a signal, or the end of the terminal; an engine that goes away does not end it. The
// terminal is as before when it returns.
core::Result<void> live_view(const LiveSettings& settings, Sample first);

}  // namespace nfsteer::cli::top
