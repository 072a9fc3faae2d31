#include "netlink/conntrack_socket.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <vector>

#include <linux/netfilter/nfnetlink.h>

namespace nfsteer::netlink {
namespace {

using core::Result;
using Kind = ConntrackMessage::Kind;

constexpr const char* kThing = "conntrack";
constexpr const char* kMend = "load nf_conntrack_netlink or use a kernel with CONFIG_NF_CT_NETLINK";
constexpr unsigned kReadsMax = 16;
constexpr std::size_t kTableBuffer = std::size_t{1} << 20;
constexpr timeval kAnswerMax{.tv_sec = 5, .tv_usec = 0};

core::Failure failure(int error) {
  if (error == EPERM)
    return core::system_error(kThing, "permission denied",
                              "run as root or with CAP_NET_ADMIN in this network namespace");
  if (error == EAGAIN) return core::system_error(kThing, "the kernel does not answer");
  // Of a subsystem that is missing (nfnetlink_rcv_msg); what we send is well-formed.
  if (error == EINVAL) return core::system_error(kThing, "this kernel does not tell of connections", kMend);
  return core::system_error(kThing, describe_errno(error));
}

}  // namespace

Result<ConntrackEvents> ConntrackEvents::open(std::size_t receive_bytes) {
  constexpr unsigned kGroups = 1U << (NFNLGRP_CONNTRACK_NEW - 1) | 1U << (NFNLGRP_CONNTRACK_UPDATE - 1) |
                               1U << (NFNLGRP_CONNTRACK_DESTROY - 1);
  auto handle = open_netlink(kThing, kMend, kGroups);
  if (!handle) return tl::unexpected(handle.error());
  ConntrackEvents events(*std::move(handle));
  set_buffer(events.fd(), SO_RCVBUFFORCE, SO_RCVBUF, receive_bytes);
  events.buffer_size_ = buffer_size(events.fd(), SO_RCVBUF);
  return events;
}

Result<ConntrackTable> ConntrackTable::open() {
  auto handle = open_netlink(kThing, kMend);
  if (!handle) return tl::unexpected(handle.error());
  ConntrackTable table(*std::move(handle));
  const int fd = fd_of(table.socket_);
  // Without it a lost answer would be waited for for ever.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kAnswerMax, sizeof kAnswerMax) != 0)
    return tl::unexpected(failure(errno));
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, kTableBuffer);
  return table;
}

Result<void> ConntrackTable::send(std::span<const std::uint8_t> request) {
  while (::send(fd_of(socket_), request.data(), request.size(), 0) < 0)
    if (errno != EINTR) return failure(errno);
  return {};
}

Result<unsigned> ConntrackTable::read(core::Family family,
                                      const std::function<void(const Connection&)>& visit,
                                      const std::function<void()>& restart) {
  std::vector<std::uint8_t> buffer(kConntrackReceiveMax);
  for (unsigned attempt = 0; attempt < kReadsMax; ++attempt) {
    if (attempt > 0) restart();
    std::array<std::uint8_t, kConntrackRequestMax> request{};
    const std::uint32_t sequence = ++sequence_;
    const std::size_t length = build_conntrack_dump(request, family, sequence);
    if (auto sent = send(std::span(request).first(length)); !sent) return tl::unexpected(sent.error());
    bool is_whole = true;
    for (bool done = false; !done;) {
      const ReceiveOutcome got = receive_datagram(fd_of(socket_), buffer, true);
      if (got.kind == ReceiveOutcome::Kind::interrupted) continue;
      if (got.kind == ReceiveOutcome::Kind::overflow) {
        is_whole = false;
        continue;
      }
      if (got.kind == ReceiveOutcome::Kind::empty) return failure(EAGAIN);
      if (got.kind == ReceiveOutcome::Kind::broken) return failure(got.error);
      ConntrackReader messages{std::span(buffer).first(got.bytes)};
      for (ConntrackMessage message; messages.next(message);) {
        if (message.sequence != sequence) continue;  // of a reading that was given up
        if (message.kind == Kind::connection) visit(message.connection);
        if (message.kind == Kind::error) return failure(message.error);
        is_whole = is_whole && !message.interrupted && message.kind != Kind::malformed;
        done = done || message.kind == Kind::done;
      }
    }
    if (is_whole) return attempt;
  }
  return core::system_error(kThing, "the table changed during each of several readings");
}

Result<ConntrackMessage> ConntrackTable::receive_answer(std::uint32_t sequence) {
  std::vector<std::uint8_t> buffer(kConntrackReceiveMax);
  while (true) {
    const ReceiveOutcome got = receive_datagram(fd_of(socket_), buffer, true);
    if (got.kind == ReceiveOutcome::Kind::interrupted) continue;
    if (got.kind != ReceiveOutcome::Kind::data) return failure(got.error != 0 ? got.error : EAGAIN);
    ConntrackReader messages{std::span(buffer).first(got.bytes)};
    for (ConntrackMessage message; messages.next(message);) {
      if (message.sequence != sequence) continue;
      if (message.kind == Kind::ack || message.kind == Kind::error || message.kind == Kind::connection)
        return message;
    }
  }
}

Result<std::optional<Connection>> ConntrackTable::get(const core::FlowKey& original) {
  std::array<std::uint8_t, kConntrackRequestMax> request{};
  const std::uint32_t sequence = ++sequence_;
  const std::size_t length = build_conntrack_get(request, original, sequence);
  if (auto sent = send(std::span(request).first(length)); !sent) return tl::unexpected(sent.error());
  const auto answer = receive_answer(sequence);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->kind == Kind::connection) return answer->connection;
  if (answer->error == ENOENT) return std::nullopt;
  return failure(answer->error);
}

Result<bool> ConntrackTable::erase(const Connection& connection) {
  std::array<std::uint8_t, kConntrackRequestMax> request{};
  const std::uint32_t sequence = ++sequence_;
  const std::size_t length = build_conntrack_delete(request, connection, sequence);
  if (auto sent = send(std::span(request).first(length)); !sent) return tl::unexpected(sent.error());
  const auto answer = receive_answer(sequence);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->kind == Kind::ack) return true;
  if (answer->error == ENOENT) return false;
  return failure(answer->error);
}

}  // namespace nfsteer::netlink
