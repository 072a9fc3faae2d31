#include "core/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cassert>

namespace nfsteer::core {

IpAddress IpAddress::from_bytes(Family family, std::span<const std::uint8_t> bytes) {
  assert(bytes.size() == (family == Family::ipv4 ? 4U : 16U));
  IpAddress address;
  address.family_ = family;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  IpAddress address;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes_.data()) == 1) return address;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) == 1) {
    address.family_ = Family::ipv6;
    return address;
  }
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text.data(), text.size());
  return text.data();
}

bool IpAddress::is_host() const {
  const auto value = bytes();
  const auto all_are = [&](std::uint8_t byte) {
    return std::all_of(value.begin(), value.end(), [byte](std::uint8_t each) { return each == byte; });
  };
  if (all_are(0)) return false;
  if (is_v4()) return value[0] != 0 && (value[0] < 224 || value[0] >= 240) && !all_are(0xff);
  return value[0] != 0xff;
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[0] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t each) { return each == 0; }) &&
         bytes_.back() == 1;
}

std::string endpoint_text(const IpAddress& address, std::uint16_t port) {
  const std::string text = address.to_string();
  if (port == 0) return text;
  return (address.is_v4() ? text : '[' + text + ']') + ':' + std::to_string(port);
}

}  // namespace nfsteer::core
