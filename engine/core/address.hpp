// An IPv4 or IPv6 address as a value, in network byte order.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nfsteer::core {

enum class Family : std::uint8_t { ipv4 = 4, ipv6 = 6 };

class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0

  // `bytes` is in network byte order and holds 4 (ipv4) or 16 (ipv6) bytes.
  static IpAddress from_bytes(Family family, std::span<const std::uint8_t> bytes);

  // The textual forms of RFC 4291 and dotted quads (inet_pton); nothing for anything else, prefixes and zones
  // included.
  static std::optional<IpAddress> parse(std::string_view text);

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::ipv4; }

  // Network byte order, 4 or 16 bytes.
  std::span<const std::uint8_t> bytes() const { return {bytes_.data(), is_v4() ? 4U : 16U}; }

  // Canonical text (inet_ntop).
  std::string to_string() const;

  // 0.0.0.0, ::, 255.255.255.255, multicast: addresses that name no single host.
  bool is_host() const;
  bool is_loopback() const;  // 127.0.0.0/8 or ::1

  // IPv4 sorts before IPv6, then by value.
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  Family family_ = Family::ipv4;
  std::array<std::uint8_t, 16> bytes_{};  // IPv4 uses the first four, the rest stay zero
};

// ADDR, ADDR:PORT, or [ADDR]:PORT for IPv6; port 0 is left out.
std::string endpoint_text(const IpAddress& address, std::uint16_t port);

}  // namespace nfsteer::core
