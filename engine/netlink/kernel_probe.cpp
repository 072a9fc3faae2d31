#include "netlink/kernel_probe.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_queue.h>

#include "netlink/netlink_handle.hpp"
#include "netlink/nfqueue_message.hpp"

namespace nfsteer::netlink {
namespace {

constexpr const char* kAskedThing = "netfilter netlink";
constexpr std::uint32_t kSequence = 1;
constexpr timeval kAcknowledgementMax{.tv_sec = 5, .tv_usec = 0};
// The kernel answers so where it has loaded a module meanwhile.
constexpr unsigned kAskedMax = 3;

using Buffer = std::array<std::uint8_t, kConfigBytesMax>;

// The errno in the kernel's acknowledgement.
core::Result<int> acknowledged(const MnlHandle& socket) {
  std::array<std::uint8_t, 8192> answer{};
  while (true) {
    const ReceiveOutcome got = receive_datagram(fd_of(socket), answer, true);
    if (got.kind == ReceiveOutcome::Kind::interrupted) continue;
    if (got.kind != ReceiveOutcome::Kind::data)
      return core::system_error(kAskedThing, got.error != 0 ? describe_errno(got.error) : "no answer");
    MessageReader messages{std::span(answer).first(got.bytes)};
    for (Message message; messages.next(message);) {
      if (message.sequence != kSequence) continue;
      if (message.kind == MessageKind::ack || message.kind == MessageKind::error) return message.error;
    }
  }
}

core::Result<int> ask(const Buffer& request) {
  const auto socket = open_netlink(kAskedThing, "use a kernel with CONFIG_NETFILTER_NETLINK");
  if (!socket) return tl::unexpected(socket.error());
  setsockopt(fd_of(*socket), SOL_SOCKET, SO_RCVTIMEO, &kAcknowledgementMax, sizeof kAcknowledgementMax);
  core::Result<int> error = EAGAIN;
  for (unsigned asked = 0; error && *error == EAGAIN && asked < kAskedMax; ++asked) {
    const auto* header = reinterpret_cast<const nlmsghdr*>(request.data());
    if (mnl_socket_sendto(socket->get(), header, header->nlmsg_len) < 0)
      return core::system_error(kAskedThing, describe_errno(errno));
    error = acknowledged(*socket);
  }
  return error;
}

// Whether a request that needs nothing but its subsystem succeeds.
core::Result<bool> succeeds(const Buffer& request) {
  const auto error = ask(request);
  if (!error) return tl::unexpected(error.error());
  if (*error == EPERM)
    return core::system_error(kAskedThing, "permission denied",
                              "run as root or with CAP_NET_ADMIN in this network namespace");
  return *error == 0;
}

nlmsghdr* start(Buffer& buffer, unsigned subsystem, unsigned type, std::uint16_t resource) {
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = static_cast<std::uint16_t>(subsystem << 8 | type);
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = kSequence;
  auto* netfilter = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  netfilter->nfgen_family = AF_UNSPEC;
  netfilter->version = NFNETLINK_V0;
  netfilter->res_id = htons(resource);
  return header;
}

}  // namespace

core::Result<bool> has_queues() {
  alignas(nlmsghdr) Buffer request{};
  build_probe(request, kSequence);
  return succeeds(request);
}

// A flag that the kernel does not have is refused (EOPNOTSUPP) before the queue is looked for, and without a
// command the queue only has to exist: no other answer changes anything (nfqnl_recv_config).
core::Result<bool> queues_tell_connections() {
  const auto queues = has_queues();
  if (!queues || !*queues) return queues;
  constexpr std::uint16_t kQueue = 65535;
  alignas(nlmsghdr) Buffer request{};
  nlmsghdr* header = start(request, NFNL_SUBSYS_QUEUE, NFQNL_MSG_CONFIG, kQueue);
  mnl_attr_put_u32(header, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_CONNTRACK));
  mnl_attr_put_u32(header, NFQA_CFG_MASK, htonl(NFQA_CFG_F_CONNTRACK));
  // ENODEV: nobody has this queue. EPERM: somebody else has.
  return ask(request).map([](int error) { return error == ENODEV || error == EPERM; });
}

core::Result<bool> has_connection_table() {
  alignas(nlmsghdr) Buffer request{};
  start(request, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS, 0);
  return succeeds(request);
}

}  // namespace nfsteer::netlink
