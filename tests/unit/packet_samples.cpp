// The table of valid packets, and the random ones.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "packet_builder.hpp"

namespace nfsteer::test {
namespace {

const char* const kClient6 = "fd00::10";
const char* const kVip6 = "fd00::40";

Bytes text(std::string_view content) {
  return {content.begin(), content.end()};
}

Bytes counting(std::size_t length) {
  Bytes bytes(length);
  for (std::size_t at = 0; at < length; ++at)
    bytes[at] = static_cast<std::uint8_t>(at * 7 + 1);
  return bytes;
}

// Options of a Linux SYN: MSS, SACK permitted, timestamps, window scale.
Bytes syn_options() {
  return bytes_of("020405b4 0402080a 11223344 00000000 01030307");
}

const Extension kPadding8{kDestinationOptions, {0, 1, 4, 0, 0, 0, 0}};
const Extension kHops8{kHopByHop, {0, 5, 2, 0, 0, 1, 0}};  // router alert
const Extension kNoStopsLeft{kRouting,
                             Bytes{2, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
const Extension kAuthentication24{kAuthentication,
                                  Bytes{4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}};
const Extension kAtomicFragment{kFragment, {0, 0, 0, 1, 2, 3, 4}};

PacketSpec v6(PacketSpec spec) {
  spec.name += " over IPv6";
  spec.source = kClient6;
  spec.destination = kVip6;
  if (spec.protocol == kIcmp) {
    spec.protocol = kIcmpv6;
    spec.icmp_type = 128;
  }
  return spec;
}

std::vector<PacketSpec> of_both_families() {
  return {
      {.name = "TCP SYN", .l4_options = syn_options()},
      {.name = "TCP SYN without options"},
      {.name = "TCP SYN with Fast Open data",
       .l4_options = bytes_of("220a0011223344556677 0101"),
       .payload = text("GET /")},
      {.name = "TCP data, odd length", .tcp_flags = 0x18, .payload = counting(1459)},
      {.name = "TCP with the longest header", .l4_options = Bytes(40, 1)},
      {.name = "UDP", .protocol = kUdp, .destination_port = 53, .payload = text("query")},
      {.name = "UDP, empty", .protocol = kUdp},
      {.name = "UDP, 64 KiB less headers", .protocol = kUdp, .payload = counting(65507)},
      {.name = "UDP shorter than its packet",
       .protocol = kUdp,
       .payload = text("abc"),
       .behind_udp = text("defgh")},
      {.name = "UDP without checksum",
       .protocol = kUdp,
       .payload = text("abc"),
       .checksums = Checksums::none},
      {.name = "UDP-Lite, all covered", .protocol = kUdpLite, .payload = counting(33)},
      {.name = "UDP-Lite, header covered", .protocol = kUdpLite, .coverage = 8, .payload = counting(33)},
      {.name = "UDP-Lite, partly covered", .protocol = kUdpLite, .coverage = 19, .payload = counting(33)},
      {.name = "DCCP, all covered", .protocol = kDccp, .payload = counting(21)},
      {.name = "DCCP, header covered", .protocol = kDccp, .coverage = 1, .payload = counting(21)},
      {.name = "DCCP, partly covered",
       .protocol = kDccp,
       .l4_options = Bytes(8, 0),
       .coverage = 4,
       .payload = counting(21)},
      {.name = "SCTP INIT", .protocol = kSctp},
      {.name = "SCTP, odd length", .protocol = kSctp, .payload = counting(77)},
      {.name = "ICMP echo request", .protocol = kIcmp, .source_port = 0x1234, .payload = counting(56)},
      {.name = "GRE", .protocol = kGre, .payload = counting(24)},
      {.name = "ESP", .protocol = kEsp, .payload = counting(40)},
      {.name = "unknown protocol without a byte", .protocol = 253},
      {.name = "first fragment of UDP", .protocol = kUdp, .fragment = Slice{0, 24}, .payload = counting(60)},
      {.name = "later fragment of UDP", .protocol = kUdp, .fragment = Slice{24, 16}, .payload = counting(60)},
      {.name = "last fragment of TCP", .fragment = Slice{24, 56}, .payload = counting(60)},
      {.name = "later fragment at 32 KiB",
       .protocol = kUdp,
       .fragment = Slice{32768, 16},
       .payload = counting(40000)},
      {.name = "first fragment of UDP-Lite",
       .protocol = kUdpLite,
       .fragment = Slice{0, 16},
       .coverage = 40,
       .payload = counting(60)},
      {.name = "first fragment of DCCP",
       .protocol = kDccp,
       .fragment = Slice{0, 32},
       .coverage = 9,
       .payload = counting(60)},
      {.name = "TCP with link padding", .padding = Bytes(6, 0xee)},
  };
}

}  // namespace

std::vector<PacketSpec> valid_packets() {
  std::vector<PacketSpec> packets = {
      {.name = "TCP, IPv4 router alert", .ip_options = bytes_of("94040000"), .l4_options = syn_options()},
      {.name = "TCP, longest IPv4 header", .ip_options = Bytes(40, 1), .payload = text("x")},
      {.name = "UDP, IPv4 options ended early",
       .protocol = kUdp,
       .ip_options = bytes_of("01 00 83ff 0000 0000")},
      {.name = "TCP, IPv4 record route", .ip_options = bytes_of("070b04 00000000 00000000 00")},
      {.name = "ICMP timestamp request", .protocol = kIcmp, .icmp_type = 13, .payload = Bytes(12, 0)},
      {.name = "BIG TCP", .tcp_flags = 0x10, .payload = counting(70000), .is_big = true},
      {.name = "ICMPv6 over IPv4", .protocol = kIcmpv6, .payload = counting(8)},
  };
  const std::vector<PacketSpec> only_v6 = {
      {.name = "TCP behind destination options", .extensions = {kPadding8}, .l4_options = syn_options()},
      {.name = "UDP behind every extension",
       .protocol = kUdp,
       .extensions = {kHops8, kPadding8, kNoStopsLeft, kAtomicFragment, kAuthentication24, kPadding8},
       .payload = text("query")},
      {.name = "SCTP behind the longest chain",
       .protocol = kSctp,
       .extensions = std::vector<Extension>(8, kPadding8)},
      {.name = "TCP behind an atomic fragment", .extensions = {kAtomicFragment}},
      {.name = "ICMP echo behind hop-by-hop",
       .protocol = kIcmp,
       .extensions = {kHops8},
       .payload = counting(9)},
      {.name = "ESP behind destination options",
       .protocol = kEsp,
       .extensions = {kPadding8},
       .payload = counting(32)},
      {.name = "later fragment behind destination options",
       .protocol = kUdp,
       .extensions = {kPadding8},
       .fragment = Slice{8, 40},
       .payload = counting(60)},
      {.name = "no next header", .protocol = kNoNextHeader},
      {.name = "BIG TCP", .tcp_flags = 0x10, .payload = counting(70000), .is_big = true},
      {.name = "BIG TCP with jumbo option",
       .extensions = {{kHopByHop, {0, 0xc2, 4, 0, 1, 0x11, 0x8c}}},
       .tcp_flags = 0x10,
       .payload = counting(70000),
       .is_big = true},
  };
  for (const auto& spec : of_both_families()) {
    packets.push_back(spec);
    packets.push_back(v6(spec));
  }
  for (const auto& spec : only_v6)
    packets.push_back(v6(spec));
  return packets;
}

std::uint64_t random_seed() {
  const char* const given = std::getenv("NFSTEER_TEST_SEED");
  const std::uint64_t seed = given != nullptr ? std::stoull(given) : std::random_device{}();
  std::cout << "NFSTEER_TEST_SEED=" << seed << " repeats this\n";
  return seed;
}

std::string random_address(std::mt19937_64& random, bool is_v6) {
  std::string address = is_v6 ? "fd00" : "10";
  std::array<char, 8> part{};
  for (int index = 1; index < (is_v6 ? 8 : 4); ++index) {
    const unsigned value = static_cast<unsigned>(random()) & (is_v6 ? 0xffffU : 0xffU);
    std::snprintf(part.data(), part.size(), is_v6 ? ":%x" : ".%u", value);
    address += part.data();
  }
  return address;
}

PacketSpec random_packet(std::mt19937_64& random) {
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  const auto random_bytes = [&](std::size_t length) {
    Bytes bytes(length);
    for (auto& byte : bytes)
      byte = static_cast<std::uint8_t>(random());
    return bytes;
  };
  const bool is_v6 = below(2) == 0;
  constexpr std::array kProtocols{kTcp, kTcp, kUdp, kUdp, kUdpLite, kDccp, kSctp, kIcmp, kGre};

  PacketSpec spec;
  spec.name = "random";
  spec.source = random_address(random, is_v6);
  spec.destination = random_address(random, is_v6);
  spec.protocol = kProtocols[below(kProtocols.size())];
  if (spec.protocol == kIcmp && is_v6) spec.protocol = kIcmpv6;
  spec.icmp_type = is_v6 ? 128 : 8;
  spec.source_port = static_cast<std::uint16_t>(random());
  spec.destination_port = static_cast<std::uint16_t>(random());
  spec.tcp_flags = static_cast<std::uint8_t>(random());
  if (below(4) == 0) spec.ip_options = is_v6 ? Bytes{} : Bytes(4 * (1 + below(10)), 1);
  if (is_v6) spec.extensions.assign(below(3), kPadding8);
  spec.l4_options = random_bytes(4 * below(11));
  spec.payload = random_bytes(below(10) == 0 ? below(3000) : below(90));
  if (below(8) == 0) spec.behind_udp = random_bytes(below(9));
  if (below(8) == 0) spec.padding = random_bytes(below(9));
  if (spec.protocol == kUdp && below(8) == 0) spec.checksums = Checksums::none;
  const std::size_t payload = spec.payload.size();
  if (spec.protocol == kUdpLite && below(2) == 0)
    spec.coverage = static_cast<std::uint16_t>(8 + below(payload + 1));
  if (spec.protocol == kDccp)
    spec.coverage = static_cast<std::uint16_t>(below(std::min<std::size_t>(16, 2 + payload / 4)));
  return spec;
}

}  // namespace nfsteer::test
