// ctnetlink's messages as values: buffers in, buffers out, no socket. What a load balancer asks of conntrack:
// which connections there are, where one went, which come and go, and that one be forgotten.
//
// Numbers are in host byte order. Message layout: linux/netfilter/nfnetlink_conntrack.h; what the kernel puts
// in and accepts: net/netfilter/nf_conntrack_netlink.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/flow.hpp"

namespace nfsteer::netlink {

enum class ConntrackChange : std::uint8_t { created, updated, destroyed };

// enum tcp_conntrack, linux/netfilter/nf_conntrack_tcp.h.
enum class TcpState : std::uint8_t {
  none,
  syn_sent,
  syn_received,
  established,
  fin_wait,
  close_wait,
  last_ack,
  time_wait,
  close,
  syn_sent_both,
};

struct Connection {
  core::FlowKey original;    // as the client wrote it; ICMP as core::FlowKey says
  core::FlowKey reply;       // as the answers come: its source is the backend that the connection was given
  std::uint32_t id = 0;      // tells two connections apart that have had one tuple after the other
  std::uint32_t status = 0;  // enum ip_conntrack_status: IPS_SEEN_REPLY, IPS_ASSURED, IPS_DST_NAT, ...
  TcpState tcp_state = TcpState::none;
  std::uint16_t zone = 0;
  // Only with net.netfilter.nf_conntrack_acct, and in events only when the connection is destroyed.
  std::uint64_t original_packets = 0, original_bytes = 0, reply_packets = 0, reply_bytes = 0;
};

// Each of these writes one request into `buffer` (kConntrackRequestMax suffices) and returns its length.
inline constexpr std::size_t kConntrackRequestMax = 256;

// Every connection of the family; the kernel answers with messages of kind `connection`, then `done`.
std::size_t build_conntrack_dump(std::span<std::uint8_t> buffer, core::Family family, std::uint32_t sequence);

// The connection with this original tuple; ICMP: of echo requests with this identifier. The kernel answers
// with one message of kind `connection`, or error ENOENT.
std::size_t build_conntrack_get(std::span<std::uint8_t> buffer, const core::FlowKey& original,
                                std::uint32_t sequence);

// Forgets the connection with this original tuple, if it still has this id. The kernel answers ack, or error
// ENOENT.
std::size_t build_conntrack_delete(std::span<std::uint8_t> buffer, const Connection& connection,
                                   std::uint32_t sequence);

struct ConntrackMessage {
  enum class Kind : std::uint8_t {
    connection,  // `change` and `connection` are valid; in answer to a dump the change is `created`, to a get
                 // it means nothing
    ack,
    error,    // the request `sequence` failed with `error`
    done,     // of a dump
    overrun,  // NLMSG_OVERRUN: messages were lost
    other,
    malformed,
  };
  Kind kind = Kind::other;
  ConntrackChange change = ConntrackChange::created;
  bool interrupted = false;  // of a dump: the table changed meanwhile, entries may be missing or there twice
  std::uint32_t sequence = 0;
  int error = 0;  // errno, positive
  Connection connection;
};

// Walks the messages of one received datagram. One pass, no allocation, no alignment needed; never reads
// outside.
class ConntrackReader {
 public:
  explicit ConntrackReader(std::span<const std::uint8_t> datagram) : rest_(datagram) {}

  // False at the end.
  bool next(ConntrackMessage& message);

 private:
  std::span<const std::uint8_t> rest_;
};

}  // namespace nfsteer::netlink
