#include "core/packet.hpp"

#include "core/bounded_bytes.hpp"

namespace nfsteer::core {
namespace {

constexpr std::size_t kIpv4HeaderMin = 20;
constexpr std::size_t kIpv6Header = 40;

// IANA protocol numbers, IPv6 extension headers included.
namespace protocol {
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kDccp = 33;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kAuthentication = 51;
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kDestinationOptions = 60;
constexpr std::uint8_t kSctp = 132;
constexpr std::uint8_t kUdpLite = 136;
}  // namespace protocol

constexpr std::size_t fixed_header_length(Transport transport) {
  switch (transport) {
    case Transport::none:
      return 0;
    case Transport::tcp:
      return 20;
    case Transport::udp:
    case Transport::udp_lite:
    case Transport::icmp:
    case Transport::icmpv6:
      return 8;
    case Transport::dccp:
    case Transport::sctp:
      return 12;
  }
  return 0;
}

Transport transport_of(const FlowKey& flow) {
  switch (flow.protocol) {
    case protocol::kTcp:
      return Transport::tcp;
    case protocol::kUdp:
      return Transport::udp;
    case protocol::kUdpLite:
      return Transport::udp_lite;
    case protocol::kDccp:
      return Transport::dccp;
    case protocol::kSctp:
      return Transport::sctp;
    case protocol::kIcmp:
      return flow.family == Family::ipv4 ? Transport::icmp : Transport::none;
    case protocol::kIcmpv6:
      return flow.family == Family::ipv6 ? Transport::icmpv6 : Transport::none;
    default:
      return Transport::none;
  }
}

// The messages conntrack lets start a flow that have an identifier where echo has it.
bool is_query(Transport transport, std::uint8_t type) {
  if (transport == Transport::icmpv6) return type == 128;      // echo request
  return type == 8 || type == 13 || type == 15 || type == 17;  // echo, timestamp, information, address mask
}

// `covered` counts from the transport header; the datagram of a first fragment ends where nobody can see it.
bool fits(const ParsedPacket& parsed, std::size_t covered) {
  return covered <= parsed.l4_length() || parsed.fragment == Fragment::first;
}

// Lengths that headers tell of themselves. Sets l4_header_length.
ParseFault check_transport(const BoundedBytes& packet, ParsedPacket& out) {
  const std::size_t at = out.l4_offset;
  std::size_t header = fixed_header_length(out.transport);
  switch (out.transport) {
    case Transport::tcp: {
      const std::size_t told = std::size_t{packet.byte(at + 12)} >> 4 << 2;
      if (told < header || told > out.l4_length()) return ParseFault::bad_header_length;
      header = told;
      out.tcp_flags = packet.byte(at + 13);
      break;
    }
    case Transport::udp: {
      const std::size_t told = packet.be16(at + 4);
      if (told < header || !fits(out, told)) return ParseFault::bad_length;
      break;
    }
    case Transport::udp_lite: {
      const std::size_t coverage = packet.be16(at + 4);  // 0: everything
      if (coverage != 0 && (coverage < header || !fits(out, coverage))) return ParseFault::bad_length;
      break;
    }
    case Transport::dccp: {
      const std::size_t told = std::size_t{packet.byte(at + 4)} << 2;
      if (told < header || told > out.l4_length()) return ParseFault::bad_header_length;
      header = told;
      const std::size_t coverage = packet.byte(at + 5) & 0x0fU;  // 0: everything, else 1 + payload words
      if (coverage != 0 && !fits(out, header + (coverage - 1) * 4)) return ParseFault::bad_length;
      break;
    }
    case Transport::icmp:
    case Transport::icmpv6:
      if (!is_query(out.transport, packet.byte(at))) return ParseFault::icmp_message;
      break;
    case Transport::sctp:
    case Transport::none:
      break;
  }
  out.l4_header_length = static_cast<std::uint16_t>(header);
  return ParseFault::none;
}

// flow.protocol, flow.family, fragment, length and l4_offset are set.
ParseFault parse_transport(const BoundedBytes& packet, ParsedPacket& out) {
  if (out.fragment == Fragment::later) return ParseFault::none;
  out.transport = transport_of(out.flow);
  if (out.transport == Transport::none) return ParseFault::none;

  const std::size_t at = out.l4_offset;
  if (const auto fault = packet.require(at + fixed_header_length(out.transport)); fault != ParseFault::none)
    return fault;
  if (has_ports(out.transport)) {
    out.flow.source_port = packet.be16(at);
    out.flow.destination_port = packet.be16(at + 2);
  } else {
    out.flow.source_port = packet.be16(at + 4);  // the query's identifier
  }
  return check_transport(packet, out);
}

Fragment fragment_of(unsigned offset, bool more) {
  if (offset != 0) return Fragment::later;
  return more ? Fragment::first : Fragment::none;
}

ParseFault check_ipv4_options(const BoundedBytes& packet, std::size_t header_end) {
  constexpr std::uint8_t kEnd = 0;
  constexpr std::uint8_t kNoOperation = 1;
  constexpr std::uint8_t kLooseSourceRoute = 131;
  constexpr std::uint8_t kStrictSourceRoute = 137;
  for (std::size_t at = kIpv4HeaderMin; at < header_end;) {
    const std::uint8_t type = packet.byte(at);
    if (type == kEnd) break;
    if (type == kNoOperation) {
      ++at;
      continue;
    }
    if (at + 2 > header_end) return ParseFault::bad_option;
    const std::size_t length = packet.byte(at + 1);
    if (length < 2 || length > header_end - at) return ParseFault::bad_option;
    if (type == kLooseSourceRoute || type == kStrictSourceRoute) return ParseFault::source_route;
    at += length;
  }
  return ParseFault::none;
}

ParseFault parse_ipv4(BoundedBytes packet, ParsedPacket& out) {
  if (const auto fault = packet.require(kIpv4HeaderMin); fault != ParseFault::none) return fault;
  const std::size_t header = std::size_t{packet.byte(0)} % 16 * 4;
  if (header < kIpv4HeaderMin) return ParseFault::bad_header_length;

  out.flow.family = Family::ipv4;
  out.flow.protocol = packet.byte(9);
  packet.copy<4>(12, out.flow.source);
  packet.copy<4>(16, out.flow.destination);

  // Length 0 is how the kernel marks a TCP segment of over 64 KiB that will be cut up later (iph_totlen() in
  // linux/ip.h).
  const std::size_t told = packet.be16(2);
  const bool is_big_tcp = told == 0 && out.flow.protocol == protocol::kTcp;
  if (!is_big_tcp && (told < header || !packet.cut_to(told))) return ParseFault::bad_length;
  out.length = static_cast<std::uint32_t>(packet.length());

  if (const auto fault = packet.require(header); fault != ParseFault::none) return fault;
  if (header > kIpv4HeaderMin) {
    if (const auto fault = check_ipv4_options(packet, header); fault != ParseFault::none) return fault;
  }
  const unsigned fragment = packet.be16(6);
  out.fragment = fragment_of(fragment & 0x1fffU, (fragment & 0x2000U) != 0);
  out.l4_offset = static_cast<std::uint16_t>(header);
  return parse_transport(packet, out);
}

bool is_extension(std::uint8_t next_header) {
  return next_header == protocol::kHopByHop || next_header == protocol::kRouting ||
         next_header == protocol::kFragment || next_header == protocol::kAuthentication ||
         next_header == protocol::kDestinationOptions;
}

// Sets flow.protocol, fragment and l4_offset.
ParseFault walk_extensions(const BoundedBytes& packet, ParsedPacket& out) {
  std::uint8_t next = packet.byte(6);
  std::size_t at = kIpv6Header;
  for (int walked = 0; is_extension(next) && out.fragment != Fragment::later; ++walked) {
    if (walked == kExtensionsMax) return ParseFault::too_many_extensions;
    if (const auto fault = packet.require(at + 8); fault != ParseFault::none) return fault;
    const std::size_t units = packet.byte(at + 1);
    std::size_t length = (units + 1) * 8;
    if (next == protocol::kFragment) {
      const unsigned fragment = packet.be16(at + 2);
      out.fragment = fragment_of(fragment >> 3, (fragment & 1U) != 0);
      length = 8;
    } else if (next == protocol::kAuthentication) {
      length = (units + 2) * 4;  // RFC 4302: 32-bit words less two
    } else if (next == protocol::kRouting && packet.byte(at + 3) != 0) {
      return ParseFault::source_route;
    }
    if (const auto fault = packet.require(at + length); fault != ParseFault::none) return fault;
    next = packet.byte(at);
    at += length;
  }
  out.flow.protocol = next;
  out.l4_offset = static_cast<std::uint16_t>(at);
  return ParseFault::none;
}

ParseFault parse_ipv6(BoundedBytes packet, ParsedPacket& out) {
  if (const auto fault = packet.require(kIpv6Header); fault != ParseFault::none) return fault;
  out.flow.family = Family::ipv6;
  packet.copy<16>(8, out.flow.source);
  packet.copy<16>(24, out.flow.destination);

  // Length 0: nothing follows, or more than the field can tell (jumbograms of RFC 2675, and the kernel's own
  // segments of over 64 KiB). Then the packet is as long as the kernel says.
  const std::size_t told = packet.be16(4);
  if (told != 0 && !packet.cut_to(kIpv6Header + told)) return ParseFault::bad_length;
  out.length = static_cast<std::uint32_t>(packet.length());

  if (const auto fault = walk_extensions(packet, out); fault != ParseFault::none) return fault;
  return parse_transport(packet, out);
}

ParseFault parse(const BoundedBytes& packet, ParsedPacket& out) {
  if (const auto fault = packet.require(1); fault != ParseFault::none) return fault;
  switch (packet.byte(0) >> 4) {
    case 4:
      return parse_ipv4(packet, out);
    case 6:
      return parse_ipv6(packet, out);
    default:
      return ParseFault::bad_version;
  }
}

}  // namespace

std::string_view to_string(ParseFault fault) {
  switch (fault) {
    case ParseFault::none:
      return "none";
    case ParseFault::too_short:
      return "too-short";
    case ParseFault::bad_version:
      return "bad-version";
    case ParseFault::bad_header_length:
      return "bad-header-length";
    case ParseFault::bad_length:
      return "bad-length";
    case ParseFault::bad_option:
      return "bad-option";
    case ParseFault::source_route:
      return "source-route";
    case ParseFault::too_many_extensions:
      return "too-many-extensions";
    case ParseFault::not_captured:
      return "not-captured";
    case ParseFault::icmp_message:
      return "icmp-message";
  }
  return "?";
}

ParseOutcome parse_packet(std::span<const std::uint8_t> bytes, std::size_t full_length,
                          ParsedPacket& out) noexcept {
  out = {};
  out.fault = parse(BoundedBytes(bytes, full_length), out);
  if (out.fault == ParseFault::none) return ParseOutcome::ok;
  return out.fault >= ParseFault::source_route ? ParseOutcome::unsupported : ParseOutcome::malformed;
}

}  // namespace nfsteer::core
