// What the sockets of this folder share: an open netfilter netlink socket, its buffers, one datagram
// received.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/result.hpp"

struct mnl_socket;

namespace nfsteer::netlink {

struct MnlCloser {
  void operator()(mnl_socket* socket) const;
};
using MnlHandle = std::unique_ptr<mnl_socket, MnlCloser>;

// Bound to a port of its own and to the multicast `groups` (a mask, group 1 is bit 0), close-on-exec. Errors,
// about `thing`: a kernel without netfilter netlink, no descriptor.
core::Result<MnlHandle> open_netlink(const std::string& thing, const std::string& mend, unsigned groups = 0);

int fd_of(const MnlHandle& handle);

// SO_RCVBUFFORCE and SO_RCVBUF, say: the second where the first is not permitted. The kernel doubles what it
// is given, to account for its own structures; `bytes` is what is to come out.
void set_buffer(int fd, int forced, int limited, std::size_t bytes);
std::size_t buffer_size(int fd, int option);

struct ReceiveOutcome {
  enum class Kind : std::uint8_t {
    data,         // `bytes` of the buffer hold one datagram
    empty,        // nothing there, or the time is over
    overflow,     // ENOBUFS: packets were lost; go on
    interrupted,  // EINTR: a signal; go on
    broken,       // `error`: the socket is of no more use
  };
  Kind kind = Kind::empty;
  std::size_t bytes = 0;
  int error = 0;  // errno
};

// With `wait`, for as long as SO_RCVTIMEO says.
ReceiveOutcome receive_datagram(int fd, std::span<std::uint8_t> buffer, bool wait) noexcept;

std::string describe_errno(int error);

}  // namespace nfsteer::netlink
