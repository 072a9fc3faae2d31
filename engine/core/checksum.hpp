// The checksums of IP, its transports and SCTP.
//
// Internet checksums are sums of 16-bit words in ones' complement arithmetic. Such a sum may be taken in any
// byte order and in words of any size as long as one keeps to it (RFC 1071 section 2), so sums and checksum
// fields here are words as they lie in memory: load and store them without swapping.
#pragma once

#include <cstdint>
#include <span>

#include "core/bytes.hpp"

namespace nfsteer::core {

// A sum of 32-bit or 16-bit words that is not yet folded to 16 bits. Sums of packets' size add up without
// overflow.
using InternetSum = std::uint64_t;

// An odd last byte counts as if a zero byte followed (RFC 1071), so only the last piece of a checksummed
// whole may have an odd length.
InternetSum internet_sum(std::span<const std::uint8_t> bytes) noexcept;

inline std::uint16_t fold(InternetSum sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

// What goes into a checksum field whose data and pseudo-header, the field itself as zero, sum up to `sum`.
inline std::uint16_t checksum_of(InternetSum sum) {
  return static_cast<std::uint16_t>(~fold(sum));
}

// The sum of the pseudo-header: addresses, length of header and data, protocol (RFC 9293 section 3.1, RFC
// 8200 section 8.1; IPv4's shorter one has the same sum). The addresses are 4 or 16 bytes each in network
// byte order.
InternetSum pseudo_header_sum(std::span<const std::uint8_t> source, std::span<const std::uint8_t> destination,
                              std::uint8_t protocol, std::uint32_t length) noexcept;

// What replacing `before` by `after` adds to a sum: ~m + m' of RFC 1624 equation 3, for as many words as
// there are. Both have the same even length and lie at an even offset of the checksummed data.
InternetSum change_of(std::span<const std::uint8_t> before, std::span<const std::uint8_t> after) noexcept;

// The checksum after such a change: HC' = ~(~HC + ~m + m'), RFC 1624 equation 3. A wrong checksum stays
// wrong.
inline std::uint16_t update_checksum(std::uint16_t checksum, InternetSum change) {
  return checksum_of(change + static_cast<std::uint16_t>(~checksum));
}

// CRC32c of RFC 9260 appendix A. SCTP carries it in the field least significant byte first, computed with the
// field as four zero bytes: start with kCrc32cStart, feed the pieces in order, finish with crc32c_finish.
inline constexpr std::uint32_t kCrc32cStart = 0xffffffff;
std::uint32_t crc32c(std::uint32_t state, std::span<const std::uint8_t> bytes) noexcept;
constexpr std::uint32_t crc32c_finish(std::uint32_t state) {
  return ~state;
}

}  // namespace nfsteer::core
