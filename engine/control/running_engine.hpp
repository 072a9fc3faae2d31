// Is there an engine in this network namespace already? Its rules and ours would stand in the same chains, so
// there is room for one, whatever its queues and control socket.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace nfsteer::control {

struct RunningEngine {
  pid_t pid = 0;
  std::uint16_t queue = 0;  // one that it holds
};

// Another process than this one, as far as /proc shows it: an engine in a process namespace of its own stays
// unseen, and is met only where it holds the same queues.
std::optional<RunningEngine> other_engine();

}  // namespace nfsteer::control
