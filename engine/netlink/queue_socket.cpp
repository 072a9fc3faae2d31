#include "netlink/queue_socket.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cerrno>
#include <string>
#include <vector>

#include <libmnl/libmnl.h>

#include "netlink/port_owner.hpp"
#include "netlink/queue_stats.hpp"

namespace nfsteer::netlink {
namespace {

using core::Result;
using core::system_error;

std::string queue_name(std::uint16_t queue) {
  return "queue " + std::to_string(queue);
}

core::Failure permission_error(std::string thing) {
  return system_error(std::move(thing), "permission denied",
                      "run as root or with CAP_NET_ADMIN in this network namespace");
}

constexpr const char* kMissingMend =
    "load nfnetlink_queue or use a kernel with CONFIG_NETFILTER_NETLINK_QUEUE";

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

Result<QueueSocket> QueueSocket::open(const SocketOptions& options) {
  auto handle = open_netlink("NFQUEUE", kMissingMend);
  if (!handle) return tl::unexpected(handle.error());
  QueueSocket socket(*std::move(handle));
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
      return system_error("NFQUEUE", "this kernel does not have it", kMissingMend);
    default:
      return system_error("NFQUEUE", describe_errno(error));
  }
}

Result<void> QueueSocket::configure(const SocketOptions& options) {
  port_id_ = mnl_socket_get_portid(socket_.get());
  // Connected to the kernel (port 0), the socket takes messages from nobody else.
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return system_error("NFQUEUE", "cannot connect a netlink socket: " + describe_errno(errno));
  }
  // Without this, one overflow makes the kernel drop everything until the socket has been drained.
  if (!set_netlink_option(socket_.get(), NETLINK_NO_ENOBUFS)) {
    return system_error("NFQUEUE", "cannot set NETLINK_NO_ENOBUFS: " + describe_errno(errno));
  }
  // An error message then leaves out the refused verdict's payload. Kernels before 4.3 cannot; it only saves
  // copying.
  set_netlink_option(socket_.get(), NETLINK_CAP_ACK);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options.receive_timeout);
  const timeval timeout{seconds.count(), (options.receive_timeout - seconds).count()};
  // Without it a worker would not see that it is to end.
  if (setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) != 0) {
    return system_error("NFQUEUE", "cannot set a time limit for receiving: " + describe_errno(errno));
  }

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
      return system_error(queue_name(request.queue), "cannot be bound: " + describe_errno(error));
  }
}

Result<void> QueueSocket::unbind(std::uint16_t queue) {
  std::array<std::uint8_t, kConfigBytesMax> buffer{};
  const std::uint32_t sequence = ++sequence_;
  const std::size_t length = build_unbind(buffer, queue, sequence);
  const int error = transact(std::span(buffer).first(length), sequence);
  // A lost answer changes nothing: the kernel has done it.
  if (error == 0 || error == EAGAIN) return {};
  return system_error(queue_name(queue), "cannot be unbound: " + describe_errno(error));
}

ReceiveOutcome QueueSocket::receive(std::span<std::uint8_t> buffer, bool wait) noexcept {
  assert(buffer.size() >= kReceiveBytesMax);
  return receive_datagram(fd_, buffer, wait);
}

bool QueueSocket::accept_up_to(std::uint16_t queue, std::uint32_t id) noexcept {
  std::array<std::uint8_t, kConfigBytesMax> message{};
  iovec part{message.data(), build_accept_up_to(message, queue, id, kAcceptUpToSequence)};
  return send_parts(fd_, {&part, 1}) == 0;
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
