// Builds packets for tests from a description. Shares no code with the engine: its checksums are the
// textbook's, a word or a bit at a time, so that what it builds can stand as the expectation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace nfsteer::test {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kDccp = 33, kIcmpv6 = 58, kSctp = 132,
                              kUdpLite = 136;
inline constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kAuthentication = 51,
                              kNoNextHeader = 59, kDestinationOptions = 60, kEsp = 50, kGre = 47;

// What stands in the transport checksum.
enum class Checksums {
  complete,
  partial,  // what the kernel leaves for the device: the pseudo-header's sum; 0 for SCTP
  none,     // 0
};

// An IPv6 extension header; `rest` follows the next-header byte and comes up to a multiple of the header's
// unit.
struct Extension {
  std::uint8_t type;
  Bytes rest;
};

// Bytes of the transport datagram that a fragment carries.
struct Slice {
  std::size_t offset;  // a multiple of 8
  std::size_t length;
};

struct PacketSpec {
  std::string name;
  std::string source = "10.0.0.10";
  std::string destination = "10.0.0.40";  // IPv6 if it holds a colon
  std::uint8_t protocol = kTcp;
  std::uint16_t source_port = 40000;  // ICMP: the identifier
  std::uint16_t destination_port = 80;
  Bytes ip_options = {};  // IPv4; a multiple of 4
  std::vector<Extension> extensions = {};
  std::optional<Slice> fragment = std::nullopt;
  std::uint8_t tcp_flags = 0x02;
  std::uint8_t icmp_type = 8;
  Bytes l4_options = {};       // TCP, DCCP; a multiple of 4
  std::uint16_t coverage = 0;  // UDP-Lite: bytes; DCCP: CsCov
  Bytes payload = {};
  Bytes behind_udp = {};  // bytes of the IP packet behind the end that UDP tells
  Bytes padding = {};     // bytes behind the end that IP tells
  Checksums checksums = Checksums::complete;
  bool is_big = false;  // lengths of 0, as in the kernel's segments of over 64 KiB

  bool is_v6() const { return destination.find(':') != std::string::npos; }
  bool has_ports() const;
  // How many of the bytes that build() gives lie before the transport header.
  std::size_t l4_offset() const;
};

Bytes build(const PacketSpec& spec);

// At least one of every protocol and shape that is to be steered.
std::vector<PacketSpec> valid_packets();

// Any protocol, shape and content; complete checksums.
PacketSpec random_packet(std::mt19937_64& random);
std::string random_address(std::mt19937_64& random, bool is_v6);

// For tests with random packets: new in each run, printed, and repeated by NFSTEER_TEST_SEED in the
// environment.
std::uint64_t random_seed();

Bytes bytes_of(std::string_view hex);  // blanks are skipped
std::string hex_of(const Bytes& bytes);

// 16 bits at a time, most significant byte first, as RFC 1071 tells it.
std::uint16_t naive_sum(const Bytes& bytes);
// A bit at a time.
std::uint32_t naive_crc32c(const Bytes& bytes);

inline void PrintTo(const PacketSpec& spec, std::ostream* out) {
  *out << spec.name;
}

}  // namespace nfsteer::test
