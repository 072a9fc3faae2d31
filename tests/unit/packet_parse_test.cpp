#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "core/packet.hpp"
#include "packet_builder.hpp"

namespace nfsteer::core {
namespace {

using test::Bytes;
using test::PacketSpec;

ParseFault fault_of(const Bytes& bytes, std::size_t full_length) {
  ParsedPacket parsed;
  parse_packet(bytes, full_length, parsed);
  return parsed.fault;
}

ParseFault fault_of(const Bytes& bytes) {
  return fault_of(bytes, bytes.size());
}

// A copy with nothing behind its end, so that the address sanitizer sees any read past it.
Bytes head(const Bytes& bytes, std::size_t length) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)};
}

Transport expected_transport(const PacketSpec& spec) {
  if (spec.fragment && spec.fragment->offset != 0) return Transport::none;
  switch (spec.protocol) {
    case test::kTcp:
      return Transport::tcp;
    case test::kUdp:
      return Transport::udp;
    case test::kUdpLite:
      return Transport::udp_lite;
    case test::kDccp:
      return Transport::dccp;
    case test::kSctp:
      return Transport::sctp;
    case test::kIcmp:
      return Transport::icmp;
    case test::kIcmpv6:
      return spec.is_v6() ? Transport::icmpv6 : Transport::none;
    default:
      return Transport::none;
  }
}

std::size_t fixed_part(Transport transport) {
  static const std::map<Transport, std::size_t> lengths{
      {Transport::none, 0},  {Transport::tcp, 20},  {Transport::udp, 8},  {Transport::udp_lite, 8},
      {Transport::dccp, 12}, {Transport::sctp, 12}, {Transport::icmp, 8}, {Transport::icmpv6, 8}};
  return lengths.at(transport);
}

// Lengths at which to cut a packet: all of them, but not all of 64 KiB.
std::vector<std::size_t> cuts(std::size_t length) {
  std::vector<std::size_t> result;
  for (std::size_t cut = 0; cut < length; cut += cut < 400 || cut + 20 > length ? 1 : 997)
    result.push_back(cut);
  return result;
}

TEST(PacketParse, ValidPacketsTellTheirFlow) {
  for (const PacketSpec& spec : test::valid_packets()) {
    SCOPED_TRACE(spec.name);
    const Bytes bytes = test::build(spec);
    ParsedPacket parsed;
    ASSERT_EQ(parse_packet(bytes, bytes.size(), parsed), ParseOutcome::ok) << to_string(parsed.fault);
    EXPECT_EQ(parsed.fault, ParseFault::none);
    EXPECT_EQ(parsed.flow.source_address().to_string(), spec.source);
    EXPECT_EQ(parsed.flow.destination_address().to_string(), spec.destination);
    EXPECT_EQ(parsed.flow.family, spec.is_v6() ? Family::ipv6 : Family::ipv4);
    EXPECT_EQ(parsed.flow.protocol, spec.protocol);
    EXPECT_EQ(parsed.transport, expected_transport(spec));
    const bool is_query = parsed.transport == Transport::icmp || parsed.transport == Transport::icmpv6;
    EXPECT_EQ(parsed.flow.source_port, spec.has_ports() || is_query ? spec.source_port : 0);
    EXPECT_EQ(parsed.flow.destination_port, spec.has_ports() ? spec.destination_port : 0);
    EXPECT_EQ(parsed.l4_offset, spec.l4_offset());
    EXPECT_EQ(parsed.length, bytes.size() - spec.padding.size());
    EXPECT_EQ(parsed.tcp_flags, parsed.transport == Transport::tcp ? spec.tcp_flags : 0);
    if (!spec.fragment) {
      EXPECT_EQ(parsed.fragment, Fragment::none);
      if (parsed.transport == Transport::tcp) {
        EXPECT_EQ(parsed.payload_length(), spec.payload.size());
      }
    } else {
      EXPECT_EQ(parsed.fragment, spec.fragment->offset == 0 ? Fragment::first : Fragment::later);
    }
  }
}

TEST(PacketParse, FlowsOfOtherPingsAreOtherFlows) {
  PacketSpec spec{.name = "ping", .protocol = test::kIcmp, .source_port = 1};
  ParsedPacket one, other;
  parse_packet(test::build(spec), 28, one);
  spec.source_port = 2;
  parse_packet(test::build(spec), 28, other);
  EXPECT_NE(one.flow, other.flow);
}

struct Damage {
  const char* name;
  PacketSpec base;
  std::size_t at;   // where to write ...
  const char* hex;  // ... these bytes
  ParseFault fault;
};

const PacketSpec kTcp4{.name = "", .payload = Bytes(10, 7)};
const PacketSpec kUdp4{.name = "", .protocol = test::kUdp, .payload = Bytes(10, 7)};
const PacketSpec kUdpLite4{.name = "", .protocol = test::kUdpLite, .payload = Bytes(10, 7)};
const PacketSpec kDccp4{.name = "", .protocol = test::kDccp, .payload = Bytes(10, 7)};
const PacketSpec kIcmp4{.name = "", .protocol = test::kIcmp};
const PacketSpec kOptions4{.name = "", .ip_options = Bytes(12, 1)};
const PacketSpec kTcp6{.name = "", .source = "fd00::1", .destination = "fd00::2", .payload = Bytes(10, 7)};
const PacketSpec kIcmp6{
    .name = "", .source = "fd00::1", .destination = "fd00::2", .protocol = test::kIcmpv6, .icmp_type = 128};
const PacketSpec kOptions6{.name = "",
                           .source = "fd00::1",
                           .destination = "fd00::2",
                           .extensions = {{test::kDestinationOptions, {0, 1, 4, 0, 0, 0, 0}}}};
const PacketSpec kManyOptions6{
    .name = "",
    .source = "fd00::1",
    .destination = "fd00::2",
    .extensions = std::vector<test::Extension>(9, {test::kDestinationOptions, {0, 1, 4, 0, 0, 0, 0}})};

const std::vector<Damage>& damages() {
  static const std::vector<Damage> all{
      {"version 0", kTcp4, 0, "05", ParseFault::bad_version},
      {"version 5", kTcp4, 0, "55", ParseFault::bad_version},
      {"version 6 in an IPv4 packet", kTcp4, 0, "65", ParseFault::bad_length},
      {"version 4 in an IPv6 packet", kTcp6, 0, "45", ParseFault::bad_length},
      {"IPv4 header of 16 bytes", kTcp4, 0, "44", ParseFault::bad_header_length},
      {"IPv4 header without a byte", kTcp4, 0, "40", ParseFault::bad_header_length},
      {"IPv4 header past the packet", {.name = "", .protocol = 253}, 0, "46", ParseFault::bad_length},
      {"IPv4 length below the header", kTcp4, 2, "0013", ParseFault::bad_length},
      {"IPv4 length past the packet", kTcp4, 2, "0033", ParseFault::bad_length},
      {"IPv4 length 0 of a protocol that is never big", kUdp4, 2, "0000", ParseFault::bad_length},
      {"IPv4 length that ends inside TCP", kTcp4, 2, "0027", ParseFault::too_short},
      {"option of length 0", kOptions4, 20, "0700", ParseFault::bad_option},
      {"option of length 1", kOptions4, 20, "0701", ParseFault::bad_option},
      {"option past the header", kOptions4, 20, "070d", ParseFault::bad_option},
      {"option without its length", kOptions4, 31, "07", ParseFault::bad_option},
      {"loose source route", kOptions4, 20, "830704 0a000001", ParseFault::source_route},
      {"strict source route behind padding", kOptions4, 22, "890704 0a000001", ParseFault::source_route},
      {"TCP header of 16 bytes", kTcp4, 32, "40", ParseFault::bad_header_length},
      {"TCP header past the packet", kTcp4, 32, "80", ParseFault::bad_header_length},
      {"UDP length below the header", kUdp4, 24, "0007", ParseFault::bad_length},
      {"UDP length 0", kUdp4, 24, "0000", ParseFault::bad_length},
      {"UDP length past the packet", kUdp4, 24, "0013", ParseFault::bad_length},
      {"UDP-Lite coverage inside the header", kUdpLite4, 24, "0007", ParseFault::bad_length},
      {"UDP-Lite coverage past the packet", kUdpLite4, 24, "0013", ParseFault::bad_length},
      {"DCCP header of 8 bytes", kDccp4, 24, "02", ParseFault::bad_header_length},
      {"DCCP header past the packet", kDccp4, 24, "08", ParseFault::bad_header_length},
      {"DCCP coverage past the packet", kDccp4, 25, "04", ParseFault::bad_length},
      {"ICMP destination unreachable", kIcmp4, 20, "03", ParseFault::icmp_message},
      {"ICMP echo reply", kIcmp4, 20, "00", ParseFault::icmp_message},
      {"ICMPv6 packet too big", kIcmp6, 40, "02", ParseFault::icmp_message},
      {"ICMPv6 neighbour solicitation", kIcmp6, 40, "87", ParseFault::icmp_message},
      {"ICMPv6 echo reply", kIcmp6, 40, "81", ParseFault::icmp_message},
      {"IPv6 length past the packet", kTcp6, 4, "001f", ParseFault::bad_length},
      {"IPv6 length that ends inside TCP", kTcp6, 4, "0013", ParseFault::too_short},
      {"IPv6 TCP header past the packet", kTcp6, 52, "80", ParseFault::bad_header_length},
      {"extension header past the packet", kOptions6, 41, "03", ParseFault::too_short},
      {"longest extension header", kOptions6, 41, "ff", ParseFault::too_short},
      {"extension header past the packet, no header behind it", kOptions6, 40, "3b03", ParseFault::too_short},
      {"routing header with a stop left", kOptions6, 6,
       "2b0a 00000000000000000000000000000000 00000000000000000000000000000000 06000001",
       ParseFault::source_route},
      {"authentication header past the packet", kOptions6, 6,
       "330a 00000000000000000000000000000000 00000000000000000000000000000000 0608", ParseFault::too_short},
      {"nine extension headers", kManyOptions6, 0, "60", ParseFault::too_many_extensions},
  };
  return all;
}

TEST(PacketParse, DamagedPacketsAreToldByTheirFault) {
  for (const Damage& damage : damages()) {
    Bytes bytes = test::build(damage.base);
    ASSERT_EQ(fault_of(test::build(damage.base)),
              damage.fault == ParseFault::too_many_extensions ? damage.fault : ParseFault::none);
    const Bytes written = test::bytes_of(damage.hex);
    std::copy(written.begin(), written.end(), bytes.begin() + static_cast<std::ptrdiff_t>(damage.at));
    EXPECT_EQ(to_string(fault_of(bytes)), to_string(damage.fault)) << damage.name;
  }
}

TEST(PacketParse, FaultsAreMalformedOrUnsupported) {
  ParsedPacket parsed;
  for (const Damage& damage : damages()) {
    Bytes bytes = test::build(damage.base);
    const Bytes written = test::bytes_of(damage.hex);
    std::copy(written.begin(), written.end(), bytes.begin() + static_cast<std::ptrdiff_t>(damage.at));
    const bool is_unsupported = damage.fault == ParseFault::source_route ||
                                damage.fault == ParseFault::icmp_message ||
                                damage.fault == ParseFault::too_many_extensions;
    EXPECT_EQ(parse_packet(bytes, bytes.size(), parsed),
              is_unsupported ? ParseOutcome::unsupported : ParseOutcome::malformed)
        << damage.name;
  }
}

TEST(PacketParse, CutOffPacketsAreMalformed) {
  for (const PacketSpec& spec : test::valid_packets()) {
    const Bytes whole = test::build(spec);
    const std::size_t headers = spec.l4_offset() + fixed_part(expected_transport(spec));
    for (const std::size_t length : cuts(whole.size() - spec.padding.size())) {
      const ParseFault fault = fault_of(head(whole, length));
      // Nothing in a segment of over 64 KiB tells its length.
      const bool is_ok = spec.is_big && length >= std::max<std::size_t>(headers, spec.l4_offset() + 20);
      ASSERT_EQ(fault == ParseFault::none, is_ok) << spec.name << ", " << length << " bytes";
      ASSERT_LT(fault, ParseFault::source_route) << spec.name << ", " << length << " bytes";
    }
  }
}

TEST(PacketParse, HeadsOfLongerPacketsAreEnough) {
  for (const PacketSpec& spec : test::valid_packets()) {
    const Bytes whole = test::build(spec);
    ParsedPacket parsed_whole, parsed_head;
    parse_packet(whole, whole.size(), parsed_whole);
    const std::size_t headers = spec.l4_offset() + fixed_part(parsed_whole.transport);
    for (const std::size_t length : cuts(whole.size())) {
      const auto outcome = parse_packet(head(whole, length), whole.size(), parsed_head);
      SCOPED_TRACE(spec.name + ", " + std::to_string(length) + " bytes");
      if (length < headers) {
        ASSERT_EQ(outcome, ParseOutcome::unsupported);
        ASSERT_EQ(parsed_head.fault, ParseFault::not_captured);
      } else {
        ASSERT_EQ(outcome, ParseOutcome::ok);
        ASSERT_EQ(parsed_head.flow, parsed_whole.flow);
        ASSERT_EQ(parsed_head.length, parsed_whole.length);
        ASSERT_EQ(parsed_head.l4_header_length, parsed_whole.l4_header_length);
      }
    }
    if (spec.extensions.size() < 8) {
      EXPECT_LE(headers, kHeaderCopyLength) << spec.name;
    }
  }
}

TEST(PacketParse, BytesBehindTheFullLengthAreNotThePacket) {
  const Bytes bytes = test::build(kTcp4);
  EXPECT_EQ(fault_of(bytes, bytes.size() - 1), ParseFault::bad_length);
  EXPECT_EQ(fault_of(bytes, 3), ParseFault::too_short);
  EXPECT_EQ(fault_of(bytes, 0), ParseFault::too_short);
  EXPECT_EQ(fault_of({}, 0), ParseFault::too_short);
  EXPECT_EQ(fault_of({}, 100), ParseFault::not_captured);
}

TEST(PacketParse, RandomDamageNeverLeadsOutside) {
  std::mt19937_64 random(test::random_seed());
  std::vector<Bytes> packets;
  for (const PacketSpec& spec : test::valid_packets())
    packets.push_back(test::build(spec));

  ParsedPacket parsed;
  for (int round = 0; round < 100000; ++round) {
    const Bytes& whole = packets[random() % packets.size()];
    Bytes bytes = head(whole, std::min<std::size_t>(whole.size(), random() % 160));
    for (std::uint64_t flips = random() % 4; flips > 0 && !bytes.empty(); --flips)
      bytes[random() % std::min<std::size_t>(bytes.size(), 64)] = static_cast<std::uint8_t>(random());
    const std::size_t full_length = random() % 2 == 0 ? bytes.size() : whole.size();
    if (parse_packet(bytes, full_length, parsed) != ParseOutcome::ok) continue;
    ASSERT_LE(parsed.length, full_length);
    ASSERT_LE(parsed.l4_offset + parsed.l4_header_length, parsed.length);
    ASSERT_LE(parsed.l4_offset + fixed_part(parsed.transport), bytes.size());
  }
}

}  // namespace
}  // namespace nfsteer::core
