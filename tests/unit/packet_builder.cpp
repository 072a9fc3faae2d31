#include "packet_builder.hpp"

#include <arpa/inet.h>

#include <array>
#include <cassert>
#include <cstdio>

namespace nfsteer::test {
namespace {

void append(Bytes& to, const Bytes& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

void append16(Bytes& to, std::size_t value) {
  to.push_back(static_cast<std::uint8_t>(value >> 8));
  to.push_back(static_cast<std::uint8_t>(value));
}

void put16(Bytes& to, std::size_t at, std::uint16_t value) {
  to[at] = static_cast<std::uint8_t>(value >> 8);
  to[at + 1] = static_cast<std::uint8_t>(value);
}

Bytes address_bytes(const std::string& text) {
  const bool is_v6 = text.find(':') != std::string::npos;
  Bytes bytes(is_v6 ? 16 : 4);
  const int read = inet_pton(is_v6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data());
  assert(read == 1);
  static_cast<void>(read);
  return bytes;
}

Bytes pseudo_header(const PacketSpec& spec, std::size_t length) {
  Bytes bytes = address_bytes(spec.source);
  append(bytes, address_bytes(spec.destination));
  if (spec.is_v6()) {
    append16(bytes, length >> 16);
    append16(bytes, length & 0xffff);
    append(bytes, {0, 0, 0, spec.protocol});
  } else {
    append(bytes, {0, spec.protocol});
    append16(bytes, length >> 16);  // 0 but for the kernel's segments of over 64 KiB
    append16(bytes, length & 0xffff);
  }
  return bytes;
}

// `covered` bytes of the datagram go into the sum; its checksum field at `field` is still zero.
void fill_checksum(const PacketSpec& spec, Bytes& datagram, std::size_t field, std::size_t length,
                   std::size_t covered) {
  Bytes summed = pseudo_header(spec, length);
  const std::uint16_t pseudo_sum = naive_sum(summed);
  summed.insert(summed.end(), datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(covered));
  auto checksum = static_cast<std::uint16_t>(0xffff - naive_sum(summed));
  if (checksum == 0 && (spec.protocol == kUdp || spec.protocol == kUdpLite)) checksum = 0xffff;
  put16(datagram, field, spec.checksums == Checksums::partial ? pseudo_sum : checksum);
}

Bytes tcp(const PacketSpec& spec) {
  Bytes bytes;
  append16(bytes, spec.source_port);
  append16(bytes, spec.destination_port);
  append(bytes, {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0});
  bytes.push_back(static_cast<std::uint8_t>((5 + spec.l4_options.size() / 4) << 4));
  bytes.push_back(spec.tcp_flags);
  append(bytes, {0xfa, 0xf0, 0, 0, 0, 0});
  append(bytes, spec.l4_options);
  append(bytes, spec.payload);
  fill_checksum(spec, bytes, 16, bytes.size(), bytes.size());
  return bytes;
}

Bytes udp(const PacketSpec& spec) {
  Bytes bytes;
  append16(bytes, spec.source_port);
  append16(bytes, spec.destination_port);
  const std::size_t length = 8 + spec.payload.size();
  append16(bytes, spec.protocol == kUdp ? length : spec.coverage);
  append16(bytes, 0);
  append(bytes, spec.payload);
  const bool is_partly_covered = spec.protocol == kUdpLite && spec.coverage != 0;
  if (spec.checksums != Checksums::none)
    fill_checksum(spec, bytes, 6, length, is_partly_covered ? spec.coverage : length);
  if (spec.protocol == kUdp) append(bytes, spec.behind_udp);
  return bytes;
}

Bytes dccp(const PacketSpec& spec) {
  Bytes bytes;
  append16(bytes, spec.source_port);
  append16(bytes, spec.destination_port);
  const std::size_t header = 16 + 4 + spec.l4_options.size();  // long sequence numbers, service code
  append(bytes, {static_cast<std::uint8_t>(header / 4), static_cast<std::uint8_t>(spec.coverage), 0, 0});
  append(bytes, {0x01, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 'S', 'C', 'o', 'd'});  // a Request
  append(bytes, spec.l4_options);
  append(bytes, spec.payload);
  fill_checksum(spec, bytes, 6, bytes.size(),
                spec.coverage == 0 ? bytes.size() : header + (spec.coverage - 1U) * 4);
  return bytes;
}

Bytes sctp(const PacketSpec& spec) {
  Bytes bytes;
  append16(bytes, spec.source_port);
  append16(bytes, spec.destination_port);
  append(bytes, {0, 0, 0, 0, 0, 0, 0, 0});
  append(bytes, {1, 0, 0, 20, 0xca, 0xfe, 0xba, 0xbe, 0, 1, 0, 0, 0, 10, 0, 10, 1, 2, 3, 4});  // INIT
  append(bytes, spec.payload);
  if (spec.checksums != Checksums::complete) return bytes;
  const std::uint32_t crc = naive_crc32c(bytes);
  for (std::size_t byte = 0; byte < 4; ++byte)
    bytes[8 + byte] = static_cast<std::uint8_t>(crc >> (8 * byte));
  return bytes;
}

Bytes icmp(const PacketSpec& spec) {
  Bytes bytes{spec.icmp_type, 0, 0, 0};
  append16(bytes, spec.source_port);
  append16(bytes, 1);
  append(bytes, spec.payload);
  if (spec.protocol == kIcmpv6) {
    fill_checksum(spec, bytes, 2, bytes.size(), bytes.size());
  } else {
    put16(bytes, 2, static_cast<std::uint16_t>(0xffff - naive_sum(bytes)));
  }
  return bytes;
}

Bytes datagram_of(const PacketSpec& spec) {
  switch (spec.protocol) {
    case kTcp:
      return tcp(spec);
    case kUdp:
    case kUdpLite:
      return udp(spec);
    case kDccp:
      return dccp(spec);
    case kSctp:
      return sctp(spec);
    case kIcmp:
      return spec.is_v6() ? spec.payload : icmp(spec);
    case kIcmpv6:
      return spec.is_v6() ? icmp(spec) : spec.payload;
    default:
      return spec.payload;
  }
}

Bytes ipv4_header(const PacketSpec& spec, std::size_t l4_length, std::size_t fragment_offset, bool more) {
  const std::size_t length = 20 + spec.ip_options.size();
  Bytes bytes{static_cast<std::uint8_t>(0x40 + length / 4), 0};
  append16(bytes, spec.is_big ? 0 : length + l4_length);
  append16(bytes, 0x1d0f);
  append16(bytes, fragment_offset / 8 + (more ? 0x2000 : 0));
  append(bytes, {64, spec.protocol, 0, 0});
  append(bytes, address_bytes(spec.source));
  append(bytes, address_bytes(spec.destination));
  append(bytes, spec.ip_options);
  put16(bytes, 10, static_cast<std::uint16_t>(0xffff - naive_sum(bytes)));
  return bytes;
}

Bytes ipv6_header(const PacketSpec& spec, std::size_t l4_length, std::size_t fragment_offset, bool more) {
  std::vector<Extension> extensions = spec.extensions;
  if (spec.fragment) {
    const std::size_t field = fragment_offset + (more ? 1 : 0);
    extensions.push_back(
        {kFragment,
         {0, static_cast<std::uint8_t>(field >> 8), static_cast<std::uint8_t>(field), 1, 2, 3, 4}});
  }
  std::size_t extension_length = 0;
  for (const auto& extension : extensions)
    extension_length += 1 + extension.rest.size();

  Bytes bytes{0x60, 0x01, 0x23, 0x45};
  append16(bytes, spec.is_big ? 0 : extension_length + l4_length);
  bytes.push_back(extensions.empty() ? spec.protocol : extensions[0].type);
  bytes.push_back(64);
  append(bytes, address_bytes(spec.source));
  append(bytes, address_bytes(spec.destination));
  for (std::size_t index = 0; index < extensions.size(); ++index) {
    bytes.push_back(index + 1 < extensions.size() ? extensions[index + 1].type : spec.protocol);
    append(bytes, extensions[index].rest);
  }
  return bytes;
}

}  // namespace

bool PacketSpec::has_ports() const {
  const bool can =
      protocol == kTcp || protocol == kUdp || protocol == kUdpLite || protocol == kDccp || protocol == kSctp;
  return can && (!fragment || fragment->offset == 0);
}

std::size_t PacketSpec::l4_offset() const {
  if (!is_v6()) return 20 + ip_options.size();
  std::size_t offset = 40 + (fragment ? 8 : 0);
  for (const auto& extension : extensions)
    offset += 1 + extension.rest.size();
  return offset;
}

Bytes build(const PacketSpec& spec) {
  Bytes datagram = datagram_of(spec);
  const Slice slice = spec.fragment.value_or(Slice{0, datagram.size()});
  assert(slice.offset + slice.length <= datagram.size());
  const bool more = slice.offset + slice.length < datagram.size();
  const auto begin = datagram.begin() + static_cast<std::ptrdiff_t>(slice.offset);
  datagram = Bytes(begin, begin + static_cast<std::ptrdiff_t>(slice.length));

  Bytes packet = spec.is_v6() ? ipv6_header(spec, datagram.size(), slice.offset, more)
                              : ipv4_header(spec, datagram.size(), slice.offset, more);
  append(packet, datagram);
  append(packet, spec.padding);
  return packet;
}

Bytes bytes_of(std::string_view hex) {
  Bytes bytes;
  std::string digits;
  for (const char digit : hex) {
    if (digit == ' ' || digit == '\n') continue;
    digits += digit;
    if (digits.size() < 2) continue;
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(digits, nullptr, 16)));
    digits.clear();
  }
  assert(digits.empty());
  return bytes;
}

std::string hex_of(const Bytes& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    std::array<char, 3> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x", static_cast<unsigned>(byte));
    text += digits.data();
  }
  return text;
}

std::uint16_t naive_sum(const Bytes& bytes) {
  unsigned sum = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 2) {
    sum += bytes[at] * 256U + (at + 1 < bytes.size() ? bytes[at + 1] : 0U);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return static_cast<std::uint16_t>(sum);
}

std::uint32_t naive_crc32c(const Bytes& bytes) {
  std::uint32_t state = 0xffffffff;
  for (const std::uint8_t byte : bytes) {
    state ^= byte;
    for (int bit = 0; bit < 8; ++bit)
      state = (state & 1) != 0 ? (state >> 1) ^ 0x82f63b78 : state >> 1;
  }
  return ~state;
}

}  // namespace nfsteer::test
