#include "netlink/netlink_handle.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>

#include <libmnl/libmnl.h>

namespace nfsteer::netlink {

void MnlCloser::operator()(mnl_socket* socket) const {
  mnl_socket_close(socket);
}

core::Result<MnlHandle> open_netlink(const std::string& thing, const std::string& mend, unsigned groups) {
  MnlHandle handle(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!handle) {
    if (errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT)
      return core::system_error(thing, "this kernel has no netfilter netlink", mend);
    return core::system_error(thing, "cannot open a netlink socket: " + describe_errno(errno));
  }
  if (mnl_socket_bind(handle.get(), groups, MNL_SOCKET_AUTOPID) < 0) {
    if (errno == EPERM)
      return core::system_error(thing, "permission denied",
                                "run as root or with CAP_NET_ADMIN in this network namespace");
    return core::system_error(thing, "cannot bind a netlink socket: " + describe_errno(errno));
  }
  return handle;
}

int fd_of(const MnlHandle& handle) {
  return mnl_socket_get_fd(handle.get());
}

void set_buffer(int fd, int forced, int limited, std::size_t bytes) {
  const int value = static_cast<int>(std::min<std::size_t>(bytes / 2, std::numeric_limits<int>::max() / 2));
  if (setsockopt(fd, SOL_SOCKET, forced, &value, sizeof value) == 0) return;
  setsockopt(fd, SOL_SOCKET, limited, &value, sizeof value);
}

std::size_t buffer_size(int fd, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  getsockopt(fd, SOL_SOCKET, option, &value, &length);
  return static_cast<std::size_t>(value);
}

ReceiveOutcome receive_datagram(int fd, std::span<std::uint8_t> buffer, bool wait) noexcept {
  const ssize_t length = recv(fd, buffer.data(), buffer.size(), wait ? 0 : MSG_DONTWAIT);
  if (length >= 0) return {ReceiveOutcome::Kind::data, static_cast<std::size_t>(length), 0};
  switch (errno) {
    case EAGAIN:
      return {ReceiveOutcome::Kind::empty, 0, 0};
    case ENOBUFS:
      return {ReceiveOutcome::Kind::overflow, 0, ENOBUFS};
    case EINTR:
      return {ReceiveOutcome::Kind::interrupted, 0, EINTR};
    default:
      return {ReceiveOutcome::Kind::broken, 0, errno};
  }
}

std::string describe_errno(int error) {
  return std::generic_category().message(error);
}

}  // namespace nfsteer::netlink
