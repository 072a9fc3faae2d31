// Is there an engine in this network namespace already? Its rules and ours would stand in the same chains, so
// there is room for one, whatever its queues and control socket.
//
// The kernel answers: an engine holds kClaimedQueue, to which no rule sends packets, from its start to its
// end, however it ends. A queue belongs to the network namespace, whatever mount and process namespaces or
// users share it and whatever the programs are called; one process at a time has it, and it takes
// CAP_NET_ADMIN.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "core/queue_layout.hpp"
#include "core/result.hpp"
#include "netlink/queue_socket.hpp"

namespace nfsteer::control {

struct RunningEngine {
  std::optional<pid_t>
      pid;  // nothing: of a process namespace, or with rights, that this process cannot look into
};

// Who holds the claim, be it this process. (To look into an engine, which is not dumpable, takes
// CAP_SYS_PTRACE.)
std::optional<RunningEngine> running_engine();

// " (pid 12)", or nothing.
std::string text_of(const RunningEngine& engine);

// An error that names the engine, if there is one.
core::Result<void> refuse_beside_another();

class NetworkClaim {
 public:
  // Errors: another engine holds it; the kernel has no NFQUEUE; no CAP_NET_ADMIN.
  static core::Result<NetworkClaim> take();

 private:
  explicit NetworkClaim(netlink::QueueSocket socket) : socket_(std::move(socket)) {}
  netlink::QueueSocket socket_;
};

}  // namespace nfsteer::control
