// NFQUEUE's netlink messages as values: buffers in, buffers out, no socket. Verdicts are in
// verdict_batch.hpp.
//
// Numbers are in host byte order, lengths in bytes. Message layout: linux/netfilter/nfnetlink_queue.h; what
// the kernel puts in and accepts: net/netfilter/nfnetlink_queue.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nfsteer::netlink {

// A netlink attribute's length is 16 bits, its header included: the kernel hands over no more of a packet
// than this, and takes no more back. A longer packet (65532..65535 bytes, or IPv6 BIG TCP) arrives truncated.
inline constexpr std::uint32_t kCopyRangeMax = 0xffff - 4;

// Every NFQUEUE message fits: the longest payload, headers and all metadata attributes that a BindRequest
// turns on.
inline constexpr std::size_t kReceiveBytesMax = std::size_t{68} * 1024;

struct BindRequest {
  std::uint16_t queue = 0;
  // Bytes handed over of each packet, 1..kCopyRangeMax.
  std::uint32_t copy_range = kCopyRangeMax;
  // Packets that may wait for their verdict, > 0.
  std::uint32_t length_max = 1024;
  // Hand over large packets as they are: unsegmented, checksums perhaps not filled in yet.
  bool gso = false;
  // Accept what finds the queue, or the socket's receive buffer, full instead of dropping it.
  bool fail_open = false;
};

// Each of these writes one request into `buffer` (kConfigBytesMax suffices) and returns its length. The
// kernel answers it with a Message of the same `sequence`: ack or error.
inline constexpr std::size_t kConfigBytesMax = 128;

// Everything about the queue in one message, for between a bind and the copy mode the kernel would drop
// packets. Errors: EPERM (another socket holds it, or no CAP_NET_ADMIN), EBUSY (this socket holds it),
// EOPNOTSUPP (flags).
std::size_t build_bind(std::span<std::uint8_t> buffer, const BindRequest& request, std::uint32_t sequence);

// The kernel drops what still waits in the queue. Errors: EPERM, ENODEV (not bound).
std::size_t build_unbind(std::span<std::uint8_t> buffer, std::uint16_t queue, std::uint32_t sequence);

// Changes nothing, and asks: may I, and is there an NFQUEUE? (The obsolete PF_BIND, which kernels since 3.8
// answer with success.) Errors: EPERM (no CAP_NET_ADMIN), EINVAL (the kernel has no nfnetlink_queue).
std::size_t build_probe(std::span<std::uint8_t> buffer, std::uint32_t sequence);

// Accepts, unchanged, every packet of the queue whose id is not after `id` (ids wrap) and that has no verdict
// yet. Not acknowledged. Errors: ENOENT (there is none).
std::size_t build_accept_up_to(std::span<std::uint8_t> buffer, std::uint16_t queue, std::uint32_t id,
                               std::uint32_t sequence);

struct QueuedPacket {
  std::uint16_t queue = 0;
  std::uint8_t hook = 0;            // NF_INET_PRE_ROUTING and so on
  bool checksum_not_ready = false;  // the transport checksum holds only the pseudo-header's sum
  bool gso = false;                 // larger than the MTU, to be segmented on its way out
  std::uint16_t hw_protocol = 0;    // EtherType: 0x0800 IPv4, 0x86dd IPv6
  std::uint32_t id = 0;             // the verdict names it; unique within the queue
  std::uint32_t indev = 0;          // interface index; 0: none
  std::uint32_t outdev = 0;         // interface index; 0: none
  std::uint32_t full_length = 0;    // of the packet, >= payload.size()
  // From the IP header on. Lies in the receive buffer and may be changed there.
  std::span<std::uint8_t> payload;

  // A truncated payload must not be sent back: the kernel would trim the packet to it.
  bool truncated() const { return full_length > payload.size(); }
};

enum class MessageKind : std::uint8_t {
  packet,     // `packet` is valid
  ack,        // the request `sequence` succeeded
  error,      // the request `sequence` failed with `error`; verdicts of a batch have sequence 0
  overrun,    // NLMSG_OVERRUN: messages were lost
  other,      // of no concern: NLMSG_NOOP, other subsystems
  malformed,  // not what the kernel sends; when its framing is broken, it is the datagram's last
};

struct Message {
  MessageKind kind = MessageKind::other;
  std::uint32_t sequence = 0;
  int error = 0;  // errno, positive
  QueuedPacket packet;
};

// Walks the messages of one received datagram. One pass, no allocation, no alignment needed; never reads
// outside.
//
//   MessageReader messages(datagram);
//   for (Message message; messages.next(message);) ...
class MessageReader {
 public:
  explicit MessageReader(std::span<std::uint8_t> datagram) : rest_(datagram) {}

  // False at the end.
  bool next(Message& message);

 private:
  std::span<std::uint8_t> rest_;
};

}  // namespace nfsteer::netlink
