#include "control/running_engine.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "netlink/port_owner.hpp"
#include "netlink/queue_stats.hpp"

namespace nfsteer::control {
namespace {

constexpr std::string_view kClaim = "nfsteer/engine";
// Nobody accepts them: each second engine that asks takes a place for as long as the first one runs.
constexpr int kProbesMax = 4096;
constexpr const char* kMend = "stop that one, or give it these services as well: one engine holds all rules";

struct ClaimAddress {
  sockaddr_un address{};
  socklen_t size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + kClaim.size());

  ClaimAddress() {  // sun_path begins with NUL: abstract
    address.sun_family = AF_UNIX;
    kClaim.copy(address.sun_path + 1, kClaim.size());
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};

confine::Descriptor unix_socket() {
  return confine::Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// Who listens there, or nothing.
std::optional<ucred> claimant(const ClaimAddress& claim) {
  const confine::Descriptor probe = unix_socket();
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (connect(probe.number(), claim.get(), claim.size) != 0 ||
      getsockopt(probe.number(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return std::nullopt;
  return peer;
}

}  // namespace

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

core::Result<void> refuse_beside_another() {
  const auto engine = other_engine();
  if (!engine) return {};
  return core::system_error(
      fmt::format("queue {}", engine->queue),
      fmt::format("taken by another engine of this network namespace (pid {})", engine->pid), kMend);
}

core::Result<NetworkClaim> NetworkClaim::take() {
  const ClaimAddress claim;
  confine::Descriptor socket = unix_socket();
  // Twice: one that ends now may still be there the first time.
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (bind(socket.number(), claim.get(), claim.size) == 0 && listen(socket.number(), kProbesMax) == 0)
      return NetworkClaim(std::move(socket));
    if (errno != EADDRINUSE)
      return core::system_error("network namespace",
                                fmt::format("cannot be claimed: {}", std::strerror(errno)));
    const auto other = claimant(claim);
    if (other && other->uid != 0 && other->uid != geteuid()) break;
    if (other)
      return core::system_error(
          "network namespace",
          fmt::format("taken by another engine (pid {}, user {})", other->pid, other->uid), kMend);
  }
  return NetworkClaim(confine::Descriptor());
}

}  // namespace nfsteer::control
