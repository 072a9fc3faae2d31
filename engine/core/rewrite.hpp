// Giving a packet another destination, in place: same length, same options, right checksums.
#pragma once

#include <cstdint>
#include <span>

#include "core/address.hpp"
#include "core/packet.hpp"

namespace nfsteer::core {

// What the transport checksum field holds.
enum class ChecksumState : std::uint8_t {
  complete,  // the checksum: it is updated by what changes (RFC 1624), so that a wrong one stays wrong
  partial,  // only the sum of the pseudo-header, the device would have done the rest (NFQA_SKB_CSUMNOTREADY):
            // it is computed anew, because bytes that come back from user space are sent as they are
};

enum class RewriteOutcome : std::uint8_t {
  rewritten,
  unchanged,    // had this destination already. Send no bytes back: a partial checksum is still partial.
  not_whole,    // a checksum over the whole packet is due, and not all of it is there; no byte was changed
  unsupported,  // other address family, or a partial checksum in a packet where it can't be told which one is
                // meant (of a tunnelled packet, say); no byte was changed
};

// `packet` holds the bytes that `parsed` was made from with outcome ok, or what an earlier call made of them.
// `to` is of the packet's family. `port` in host byte order; 0 keeps the port, as do protocols without ports.
//
// IPv4's header checksum is always updated. Of the transports: TCP, UDP, UDP-Lite, DCCP and ICMPv6 include
// the destination through the pseudo-header; a UDP checksum of 0 means "none" and stays, one that comes out
// as 0 is written as 0xffff. SCTP's CRC32c covers ports but no addresses and is computed over the whole
// packet when a port changes. ICMP covers neither. Later fragments and other protocols get the address alone.
RewriteOutcome rewrite_destination(std::span<std::uint8_t> packet, const ParsedPacket& parsed,
                                   const IpAddress& to, std::uint16_t port, ChecksumState state) noexcept;

}  // namespace nfsteer::core
