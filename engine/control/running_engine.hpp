// Is there an engine in this network namespace already? Its rules and ours would stand in the same chains, so
// there is room for one, whatever its queues and control socket.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "confine/descriptor.hpp"
#include "core/result.hpp"

namespace nfsteer::control {

struct RunningEngine {
  pid_t pid = 0;
  std::uint16_t queue = 0;  // one that it holds
};

// Another process than this one, as far as /proc shows it: an engine in a process namespace of its own stays
// unseen, and is met only where it holds the same queues.
// To look into another engine, which has given up its own rights and is not dumpable, takes CAP_SYS_PTRACE.
std::optional<RunningEngine> other_engine();

// An error that names the other engine, if there is one.
core::Result<void> refuse_beside_another();

// Held by the engine of a network namespace for as long as it runs: an abstract unix socket, which belongs to
// the namespace, is there for one process at a time, whoever may look into whom, and goes with its process.
// One that a user without rights has bound claims nothing.
class NetworkClaim {
 public:
  // Errors: another engine holds it.
  static core::Result<NetworkClaim> take();

 private:
  explicit NetworkClaim(confine::Descriptor socket) : socket_(std::move(socket)) {}
  confine::Descriptor socket_;
};

}  // namespace nfsteer::control
