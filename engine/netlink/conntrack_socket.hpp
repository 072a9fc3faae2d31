// conntrack over netlink: its events, its table, and one entry looked up or deleted. For the control thread,
// of the network namespace it was opened in.
//
// The kernel makes events only of connections that were created while somebody listened
// (nf_conntrack_events=2, its default): subscribe first, then read the table. CAP_NET_ADMIN is asked for with
// every request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>

#include "core/result.hpp"
#include "netlink/conntrack_message.hpp"
#include "netlink/netlink_handle.hpp"

namespace nfsteer::netlink {

// A buffer of this size takes every datagram of conntrack's.
inline constexpr std::size_t kConntrackReceiveMax = std::size_t{64} * 1024;

class ConntrackEvents {
 public:
  // `receive_bytes`: kernel memory for events not yet received. Beyond it events are lost, and receive() says
  // so once: the table has to be read again. Errors: no CAP_NET_ADMIN, a kernel without conntrack events.
  static core::Result<ConntrackEvents> open(std::size_t receive_bytes);

  // Readable when there are events.
  int fd() const { return fd_of(socket_); }
  std::size_t receive_bytes() const { return buffer_size_; }

  // One datagram, for a ConntrackReader; `buffer` is at least kConntrackReceiveMax long. Never waits.
  ReceiveOutcome receive(std::span<std::uint8_t> buffer) noexcept {
    return receive_datagram(fd(), buffer, false);
  }

 private:
  explicit ConntrackEvents(MnlHandle socket) : socket_(std::move(socket)) {}

  MnlHandle socket_;
  std::size_t buffer_size_ = 0;
};

class ConntrackTable {
 public:
  static core::Result<ConntrackTable> open();

  // Every connection of the family, once; returns how often the reading had to begin anew because the table
  // changed meanwhile. `visit` is told of a new beginning by `restart`. Errors: no CAP_NET_ADMIN, a table
  // that never holds still.
  core::Result<unsigned> read(core::Family family, const std::function<void(const Connection&)>& visit,
                              const std::function<void()>& restart);

  // The connection that began with this packet, before any translation; nothing: there is none. ICMP: an echo
  // request.
  core::Result<std::optional<Connection>> get(const core::FlowKey& original);

  // False: there is no such connection any more.
  core::Result<bool> erase(const Connection& connection);

 private:
  explicit ConntrackTable(MnlHandle socket) : socket_(std::move(socket)) {}

  core::Result<void> send(std::span<const std::uint8_t> request);
  // The answer to the request `sequence` that is no dump.
  core::Result<ConntrackMessage> receive_answer(std::uint32_t sequence);

  MnlHandle socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace nfsteer::netlink
