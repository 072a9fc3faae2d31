#include "control/running_engine.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "netlink/port_owner.hpp"
#include "netlink/queue_stats.hpp"

namespace nfsteer::control {

std::optional<RunningEngine> running_engine() {
  const auto queues = netlink::read_queue_stats();
  if (!queues) return std::nullopt;  // no NFQUEUE in this kernel, so no engine either
  const auto claim = std::ranges::find(*queues, core::kClaimedQueue, &netlink::QueueStats::queue);
  if (claim == queues->end()) return std::nullopt;
  const auto owner = netlink::port_owner(claim->owner_port_id);
  return RunningEngine{owner ? std::optional(owner->pid) : std::nullopt};
}

std::string text_of(const RunningEngine& engine) {
  return engine.pid ? fmt::format(" (pid {})", *engine.pid) : "";
}

core::Result<void> refuse_beside_another() {
  const auto engine = running_engine();
  if (!engine) return {};
  return core::system_error(
      "network namespace",
      fmt::format("taken by another engine{}, which holds queue {}", text_of(*engine), core::kClaimedQueue),
      "stop that one, or give it these services as well: one engine holds all rules");
}

core::Result<NetworkClaim> NetworkClaim::take() {
  auto socket = netlink::QueueSocket::open({});
  if (!socket) return tl::unexpected(socket.error());
  if (auto bound = socket->bind({.queue = core::kClaimedQueue, .copy_range = 1, .length_max = 1}); !bound) {
    if (auto alone = refuse_beside_another(); !alone) return tl::unexpected(alone.error());
    return tl::unexpected(bound.error());
  }
  return NetworkClaim(*std::move(socket));
}

}  // namespace nfsteer::control
