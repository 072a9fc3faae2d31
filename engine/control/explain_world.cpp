#include "control/explain_world.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>

namespace nfsteer::control {
namespace {

std::optional<core::IpAddress> address_in(const sockaddr* address) {
  if (address == nullptr) return std::nullopt;
  if (address->sa_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
    return core::IpAddress::from_bytes(core::Family::ipv4, {reinterpret_cast<const std::uint8_t*>(&in), 4});
  }
  if (address->sa_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    return core::IpAddress::from_bytes(core::Family::ipv6, {in.s6_addr, 16});
  }
  return std::nullopt;
}

}  // namespace

core::Result<bool> is_own_address(const core::IpAddress& address) {
  if (address.is_loopback()) return true;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0)
    return core::system_error("addresses of this host", std::system_category().message(errno));
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next)
    if (address_in(each->ifa_addr) == address) return true;
  return false;
}

}  // namespace nfsteer::control
