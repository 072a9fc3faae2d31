#include "netlink/queue_socket.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cerrno>
#include <limits>
#include <string>
#include <system_error>
#include <vector>

#include <libmnl/libmnl.h>

#include "netlink/port_owner.hpp"
#include "netlink/queue_stats.hpp"

namespace nfsteer::netlink {
namespace {

using core::Result;
using core::system_error;

std::string describe(int error) {
  return std::generic_category().message(error);
}

std::string queue_name(std::uint16_t queue) {
  return "queue " + std::to_string(queue);
}

core::Failure permission_error(std::string thing) {
  return system_error(std::move(thing), "permission denied",
                      "run as root or with CAP_NET_ADMIN in this network namespace");
}

core::Failure missing_error(std::string reason) {
  return system_error("NFQUEUE", std::move(reason),
                      "load nfnetlink_queue or use a kernel with CONFIG_NETFILTER_NETLINK_QUEUE");
}

std::string describe_owner(std::uint32_t port_id) {
  const auto process = port_owner(port_id);
  if (!process) return "another process (netlink port " + std::to_string(port_id) + ")";
  return process->name + " (pid " + std::to_string(process->pid) + ")";
}

// open() has shown that we may bind, so EPERM means that another socket holds the queue.
core::Failure refused_error(std::uint16_t queue) {
  const auto stats = read_queue_stats();
  if (stats) {
    const auto found = std::find_if(stats->begin(), stats->end(),
                                    [queue](const QueueStats& entry) { return entry.queue == queue; });
    if (found != stats->end()) {
      return system_error(queue_name(queue), "taken by " + describe_owner(found->owner_port_id),
                          "stop it or choose others with --queue-base");
    }
  }
  return permission_error(queue_name(queue));
}

// The kernel doubles what it is given, to account for its own structures.
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

bool set_netlink_option(mnl_socket* socket, int option) {
  int on = 1;
  return mnl_socket_setsockopt(socket, option, &on, sizeof on) == 0;
}

int send_parts(int fd, std::span<iovec> parts) {
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  while (sendmsg(fd, &message, 0) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

// netlink_sendmsg (net/netlink/af_netlink.c) wants this much of the send buffer left over.
constexpr std::size_t kSendReserve = 32;

}  // namespace

std::size_t receive_budget(std::size_t packets, std::size_t bytes) {
  // Measured on Linux 6.18: short messages come from a cache of their own, longer ones take a power of two,
  // and an sk_buff.
  constexpr std::size_t kShortMessage = 832, kSkBuff = 256, kMetadata = 512;
  if (bytes <= 128) return packets * kShortMessage;
  return packets * (std::bit_ceil(bytes + kMetadata) + kSkBuff);
}

void QueueSocket::Closer::operator()(mnl_socket* socket) const {
  mnl_socket_close(socket);
}

QueueSocket::QueueSocket(mnl_socket* socket) : socket_(socket), fd_(mnl_socket_get_fd(socket)) {}

Result<QueueSocket> QueueSocket::open(const SocketOptions& options) {
  mnl_socket* handle = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
  if (handle == nullptr) {
    if (errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT) {
      return missing_error("this kernel has no netfilter netlink");
    }
    return system_error("NFQUEUE", "cannot open a netlink socket: " + describe(errno));
  }
  QueueSocket socket(handle);
  if (auto configured = socket.configure(options); !configured) return tl::unexpected(configured.error());
  std::array<std::uint8_t, kConfigBytesMax> request{};
  const std::uint32_t sequence = ++socket.sequence_;
  const std::size_t length = build_probe(request, sequence);
  switch (const int error = socket.transact(std::span(request).first(length), sequence)) {
    case 0:
      return socket;
    case EPERM:
      return permission_error("NFQUEUE");
    case EINVAL:
      return missing_error("this kernel does not have it");
    default:
      return system_error("NFQUEUE", describe(error));
  }
}

Result<void> QueueSocket::configure(const SocketOptions& options) {
  if (mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return system_error("NFQUEUE", "cannot bind a netlink socket: " + describe(errno));
  }
  port_id_ = mnl_socket_get_portid(socket_.get());
  // Connected to the kernel (port 0), the socket takes messages from nobody else.
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return system_error("NFQUEUE", "cannot connect a netlink socket: " + describe(errno));
  }
  // Without this, one overflow makes the kernel drop everything until the socket has been drained.
  if (!set_netlink_option(socket_.get(), NETLINK_NO_ENOBUFS)) {
    return system_error("NFQUEUE", "cannot set NETLINK_NO_ENOBUFS: " + describe(errno));
  }
  // An error message then leaves out the refused verdict's payload. Kernels before 4.3 cannot; it only saves
  // copying.
  set_netlink_option(socket_.get(), NETLINK_CAP_ACK);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options.receive_timeout);
  const timeval timeout{seconds.count(), (options.receive_timeout - seconds).count()};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);

  set_buffer(fd_, SO_RCVBUFFORCE, SO_RCVBUF, options.receive_bytes);
  receive_bytes_ = buffer_size(fd_, SO_RCVBUF);
  const std::size_t batch_bytes = std::max(options.batch_bytes, VerdictBatch::kMessageBytesMax);
  set_buffer(fd_, SO_SNDBUFFORCE, SO_SNDBUF, batch_bytes + 2 * kSendReserve);
  const std::size_t sendable = buffer_size(fd_, SO_SNDBUF) - kSendReserve;
  if (sendable < VerdictBatch::kMessageBytesMax) {
    return system_error("NFQUEUE", "the send buffer is limited to " + std::to_string(sendable) + " bytes",
                        "raise sysctl net.core.wmem_max to 212992");
  }
  batch_bytes_max_ = std::min(sendable, batch_bytes);
  return {};
}

int QueueSocket::transact(std::span<const std::uint8_t> request, std::uint32_t sequence) {
  iovec part{const_cast<std::uint8_t*>(request.data()), request.size()};
  if (const int error = send_parts(fd_, {&part, 1}); error != 0) return error;
  // The kernel has answered before sendmsg returned, so the answer is the last thing in the receive buffer.
  // Packets that lie before it must not be left without a verdict.
  std::vector<std::uint8_t> buffer(kReceiveBytesMax);
  VerdictBatch batch(batch_bytes_max_);
  int answer = EAGAIN;
  for (bool answered = false; !answered;) {
    const ReceiveOutcome got = receive(buffer, false);
    if (got.kind == ReceiveOutcome::Kind::empty) break;
    if (got.kind == ReceiveOutcome::Kind::broken) {
      answer = got.error;
      break;
    }
    MessageReader messages{std::span(buffer).first(got.bytes)};
    for (Message message; messages.next(message);) {
      if (message.kind == MessageKind::packet) {
        if (batch.full()) send(batch);
        batch.accept(message.packet.queue, message.packet.id);
      } else if (message.sequence == sequence &&
                 (message.kind == MessageKind::ack || message.kind == MessageKind::error)) {
        answer = message.error;
        answered = true;
      }
    }
  }
  send(batch);
  return answer;
}

Result<void> QueueSocket::bind(const BindRequest& request) {
  const auto ask = [&] {
    std::array<std::uint8_t, kConfigBytesMax> buffer{};
    const std::uint32_t sequence = ++sequence_;
    const std::size_t length = build_bind(buffer, request, sequence);
    return transact(std::span(buffer).first(length), sequence);
  };
  int error = ask();
  if (error == EAGAIN) {
    // The answer was lost; asked again, the kernel says whether the queue is ours.
    error = ask();
    if (error == EBUSY) error = 0;
  }
  switch (error) {
    case 0:
      return {};
    case EPERM:
      return refused_error(request.queue);
    case EOPNOTSUPP:
      return system_error(queue_name(request.queue), "this kernel's NFQUEUE has no GSO or fail-open flag",
                          "use Linux 3.10 or newer");
    default:
      return system_error(queue_name(request.queue), "cannot be bound: " + describe(error));
  }
}

Result<void> QueueSocket::unbind(std::uint16_t queue) {
  std::array<std::uint8_t, kConfigBytesMax> buffer{};
  const std::uint32_t sequence = ++sequence_;
  const std::size_t length = build_unbind(buffer, queue, sequence);
  const int error = transact(std::span(buffer).first(length), sequence);
  // A lost answer changes nothing: the kernel has done it.
  if (error == 0 || error == EAGAIN) return {};
  return system_error(queue_name(queue), "cannot be unbound: " + describe(error));
}

ReceiveOutcome QueueSocket::receive(std::span<std::uint8_t> buffer, bool wait) noexcept {
  assert(buffer.size() >= kReceiveBytesMax);
  const ssize_t length = recv(fd_, buffer.data(), buffer.size(), wait ? 0 : MSG_DONTWAIT);
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

SendOutcome QueueSocket::send(VerdictBatch& batch) noexcept {
  SendOutcome outcome;
  if (!batch.empty()) send_range(batch, 0, batch.size(), outcome);
  batch.clear();
  return outcome;
}

// A sendmsg that fails has delivered nothing (EMSGSIZE, ENOBUFS: no memory for a message this large), so
// halves can be tried without answering a packet twice.
void QueueSocket::send_range(VerdictBatch& batch, std::size_t first, std::size_t last,
                             SendOutcome& outcome) noexcept {
  const int error = send_parts(fd_, batch.parts(first, last));
  if (error == 0) {
    outcome.sent += last - first;
    return;
  }
  outcome.error = error;
  if (last - first == 1) {
    ++outcome.lost;
    return;
  }
  const std::size_t middle = first + (last - first) / 2;
  send_range(batch, first, middle, outcome);
  send_range(batch, middle, last, outcome);
}

}  // namespace nfsteer::netlink
