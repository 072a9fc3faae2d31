#include "core/rewrite.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "core/bytes.hpp"
#include "core/checksum.hpp"

namespace nfsteer::core {
namespace {

constexpr std::size_t kIpv4Checksum = 10;
constexpr std::size_t kIpv4Source = 12;
constexpr std::size_t kIpv6Source = 8;
constexpr std::size_t kPort = 2;  // the destination port, in every transport that has ports

constexpr std::size_t kNoField = 0;  // no transport begins with its checksum

// Where the transport header has its checksum, if that covers any byte that may change.
constexpr std::size_t checksum_field(Transport transport) {
  switch (transport) {
    case Transport::tcp:
      return 16;
    case Transport::sctp:
      return 8;
    case Transport::udp:
    case Transport::udp_lite:
    case Transport::dccp:
      return 6;
    case Transport::icmpv6:
      return 2;
    case Transport::icmp:
    case Transport::none:
      return kNoField;
  }
  return kNoField;
}

// Zero means "no checksum" in UDP and is forbidden in UDP-Lite (RFC 768, 3828); the other zero of ones'
// complement is written instead.
std::uint16_t never_zero(const ParsedPacket& parsed, std::uint16_t checksum) {
  const bool is_udp = parsed.transport == Transport::udp || parsed.transport == Transport::udp_lite;
  return is_udp && checksum == 0 ? std::uint16_t{0xffff} : checksum;
}

struct Lengths {
  std::uint32_t pseudo_header;  // as the pseudo-header tells it
  std::uint32_t covered;        // summed, from the transport header on
};

// parse_packet() has checked that what the header tells fits the packet.
Lengths checksummed(const std::uint8_t* l4, const ParsedPacket& parsed) {
  const std::uint32_t whole = parsed.l4_length();
  switch (parsed.transport) {
    case Transport::udp: {
      const std::uint32_t told = load_be16(l4 + 4);
      return {told, told};
    }
    case Transport::udp_lite: {
      const std::uint32_t coverage = load_be16(l4 + 4);
      return {whole, coverage == 0 ? whole : coverage};
    }
    case Transport::dccp: {
      const std::uint32_t coverage = l4[5] & 0x0fU;
      return {whole, coverage == 0 ? whole : parsed.l4_header_length + (coverage - 1) * 4};
    }
    default:
      return {whole, whole};
  }
}

// The transport checksum of the packet as it stands, from all its bytes.
void recompute_checksum(std::span<std::uint8_t> packet, const ParsedPacket& parsed) {
  const bool is_v4 = parsed.flow.family == Family::ipv4;
  const std::size_t address = is_v4 ? 4 : 16;
  const std::size_t source = is_v4 ? kIpv4Source : kIpv6Source;
  std::uint8_t* const l4 = packet.data() + parsed.l4_offset;
  std::uint8_t* const field = l4 + checksum_field(parsed.transport);
  const Lengths lengths = checksummed(l4, parsed);

  store<std::uint16_t>(field, 0);
  const InternetSum sum =
      pseudo_header_sum(packet.subspan(source, address), packet.subspan(source + address, address),
                        parsed.flow.protocol, lengths.pseudo_header) +
      internet_sum(packet.subspan(parsed.l4_offset, lengths.covered));
  store(field, never_zero(parsed, checksum_of(sum)));
}

void recompute_sctp(std::span<std::uint8_t> packet, const ParsedPacket& parsed) {
  const auto l4 = packet.subspan(parsed.l4_offset, parsed.l4_length());
  const std::size_t field = checksum_field(Transport::sctp);
  store<std::uint32_t>(l4.data() + field, 0);
  const std::uint32_t crc = crc32c_finish(crc32c(kCrc32cStart, l4));
  for (std::size_t byte = 0; byte < 4; ++byte)
    l4[field + byte] = static_cast<std::uint8_t>(crc >> (8 * byte));
}

// How the transport checksum is to follow.
enum class Repair : std::uint8_t { nothing, update, recompute, recompute_sctp, impossible };

Repair repair_for(const ParsedPacket& parsed, const std::uint8_t* l4, bool port_changes,
                  ChecksumState state) {
  const bool is_partial = state == ChecksumState::partial;
  // Nothing here says which checksum is meant: it may be that of a packet inside this one.
  if (is_partial && parsed.fragment != Fragment::none) return Repair::impossible;
  if (parsed.transport == Transport::sctp) {
    return port_changes || is_partial ? Repair::recompute_sctp : Repair::nothing;
  }
  const std::size_t field = checksum_field(parsed.transport);
  const bool has_none =
      field == kNoField || (parsed.transport == Transport::udp && load<std::uint16_t>(l4 + field) == 0);
  if (has_none) return is_partial ? Repair::impossible : Repair::nothing;
  return is_partial ? Repair::recompute : Repair::update;
}

}  // namespace

RewriteOutcome rewrite_destination(std::span<std::uint8_t> packet, const ParsedPacket& parsed,
                                   const IpAddress& to, std::uint16_t port, ChecksumState state) noexcept {
  assert(parsed.fault == ParseFault::none && parsed.l4_offset <= packet.size());
  if (to.family() != parsed.flow.family) return RewriteOutcome::unsupported;
  const auto address = to.bytes();
  const std::size_t source = to.is_v4() ? kIpv4Source : kIpv6Source;
  const auto destination = packet.subspan(source + address.size(), address.size());
  std::uint8_t* const l4 = packet.data() + parsed.l4_offset;

  const bool port_changes = port != 0 && has_ports(parsed.transport) && load_be16(l4 + kPort) != port;
  if (!port_changes && std::equal(address.begin(), address.end(), destination.begin()))
    return RewriteOutcome::unchanged;

  const Repair repair = repair_for(parsed, l4, port_changes, state);
  if (repair == Repair::impossible) return RewriteOutcome::unsupported;
  if (repair == Repair::recompute || repair == Repair::recompute_sctp) {
    // A fragment of an SCTP packet never has all its bytes.
    if (packet.size() < parsed.length || parsed.fragment != Fragment::none) return RewriteOutcome::not_whole;
  }

  InternetSum change = change_of(destination, address);
  std::copy(address.begin(), address.end(), destination.begin());
  if (to.is_v4()) {
    std::uint8_t* const field = packet.data() + kIpv4Checksum;
    store(field, update_checksum(load<std::uint16_t>(field), change));
  }
  if (port_changes) {
    std::array<std::uint8_t, 2> port_bytes{};
    store_be16(port_bytes.data(), port);
    change += change_of({l4 + kPort, 2}, port_bytes);
    std::copy(port_bytes.begin(), port_bytes.end(), l4 + kPort);
  }

  switch (repair) {
    case Repair::update: {
      std::uint8_t* const field = l4 + checksum_field(parsed.transport);
      store(field, never_zero(parsed, update_checksum(load<std::uint16_t>(field), change)));
      break;
    }
    case Repair::recompute:
      recompute_checksum(packet, parsed);
      break;
    case Repair::recompute_sctp:
      recompute_sctp(packet, parsed);
      break;
    case Repair::nothing:
    case Repair::impossible:
      break;
  }
  return RewriteOutcome::rewritten;
}

}  // namespace nfsteer::core
