#include "api/peer.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace nfsteer::api {
namespace {

constexpr uid_t kUnknown = 65534;  // of users and groups (kernel.overflowuid)

std::vector<gid_t> groups_of(int socket) {
  std::vector<gid_t> groups(32);
  while (true) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const bool fits = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0;
    const bool is_too_small = !fits && errno == ERANGE && size > groups.size() * sizeof(gid_t);
    groups.resize(fits || is_too_small ? size / sizeof(gid_t) : 0);
    if (!is_too_small) return groups;
  }
}

}  // namespace

std::optional<uid_t> only_reads(int socket, std::optional<gid_t> group) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return kUnknown;
  if (peer.uid == 0 || (peer.uid == geteuid() && peer.uid != kUnknown)) return std::nullopt;
  if (!group || *group == kUnknown) return peer.uid;
  if (peer.gid == *group || std::ranges::count(groups_of(socket), *group) != 0) return std::nullopt;
  return peer.uid;
}

}  // namespace nfsteer::api
