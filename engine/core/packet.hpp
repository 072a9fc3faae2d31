// Reading an IP packet: which flow it belongs to, and where its transport header lies. Never reads outside
// the bytes it is given, whatever they say.
//
// The packet starts at its IP header, as NFQUEUE hands it over. It may be the head of a longer packet (a
// queue that copies headers only): then every header up to and including the fixed part of the transport
// header must be there.
//
// Sources: RFC 791, 8200 (IP), 9293 (TCP), 768 (UDP), 3828 (UDP-Lite), 4340 (DCCP), 9260 (SCTP), 792, 4443
// (ICMP).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/flow.hpp"

namespace nfsteer::core {

// A copy of this many bytes is enough to parse IPv4 with any options (at most 80), and IPv6 with up to 68
// bytes of extension headers.
inline constexpr std::size_t kHeaderCopyLength = 128;

enum class ParseOutcome : std::uint8_t {
  ok,
  malformed,    // not a packet that a host could make sense of
  unsupported,  // valid perhaps, but not one to steer
};

// Why a packet is not ok.
enum class ParseFault : std::uint8_t {
  none,
  // malformed:
  too_short,          // ends inside a header
  bad_version,        // neither 4 nor 6
  bad_header_length,  // shorter than the header's fixed part, or past the end of the packet
  bad_length,         // the length or coverage that a header tells does not fit the packet
  bad_option,         // IPv4 options that run over their end
  // unsupported:
  source_route,  // IPv4 source route or IPv6 routing header with stops left: this destination is not the
                 // last, and the transport checksum is made for the last one
  too_many_extensions,  // more than kExtensionsMax IPv6 extension headers
  not_captured,         // a header lies behind the bytes that were copied
  icmp_message,         // ICMP other than a query: errors, replies, neighbour discovery start no flow
};

std::string_view to_string(ParseFault fault);

inline constexpr int kExtensionsMax = 8;

// The header at l4_offset.
enum class Transport : std::uint8_t {
  none,  // any other protocol, no next header, or a later fragment: no ports and no checksum known
  tcp,
  udp,
  udp_lite,
  dccp,
  sctp,
  icmp,
  icmpv6,
};

constexpr bool has_ports(Transport transport) {
  return transport >= Transport::tcp && transport <= Transport::sctp;
}

// Conntrack reassembles before the queue, so fragments appear only where somebody runs without it.
enum class Fragment : std::uint8_t {
  none,
  first,  // has the transport header but not all that its checksum covers
  later,  // has no transport header; flow has no ports
};

// TCP flags, as in the header.
inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpReset = 0x04;
inline constexpr std::uint8_t kTcpAck = 0x10;

struct ParsedPacket {
  FlowKey flow;
  Transport transport = Transport::none;
  Fragment fragment = Fragment::none;
  // Bytes, from the IP header on, by the packet's own account; less than full_length where padding follows.
  // Packets over 64 KiB (BIG TCP: IPv4 total length 0, IPv6 payload length 0) are as long as full_length.
  std::uint32_t length = 0;
  std::uint16_t l4_offset = 0;  // from the IP header to what follows it and its options or extension headers
  std::uint16_t l4_header_length = 0;  // TCP and DCCP options included, which may reach past the copied bytes
  std::uint8_t tcp_flags = 0;
  ParseFault fault = ParseFault::none;

  std::uint32_t l4_length() const { return length - l4_offset; }
  std::uint32_t payload_length() const { return length - l4_offset - l4_header_length; }
};

// `bytes` is the packet or its head, `full_length` the length of the whole in bytes. Unless the outcome is ok
// only out.fault is meaningful. Checksums are not verified: the kernel has, or the receiver will.
ParseOutcome parse_packet(std::span<const std::uint8_t> bytes, std::size_t full_length,
                          ParsedPacket& out) noexcept;

}  // namespace nfsteer::core
