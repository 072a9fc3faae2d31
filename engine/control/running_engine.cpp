#include "control/running_engine.hpp"

#include <unistd.h>

#include "netlink/port_owner.hpp"
#include "netlink/queue_stats.hpp"

namespace nfsteer::control {

std::optional<RunningEngine> other_engine() {
  const auto queues = netlink::read_queue_stats();
  if (!queues) return std::nullopt;  // no NFQUEUE in this kernel, so no engine either
  for (const netlink::QueueStats& queue : *queues) {
    const auto owner = netlink::port_owner(queue.owner_port_id);
    if (owner && owner->name == "nfsteer" && owner->pid != getpid())
      return RunningEngine{owner->pid, queue.queue};
  }
  return std::nullopt;
}

}  // namespace nfsteer::control
