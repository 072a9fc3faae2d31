#include "control/explain_world.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>

#include "iptc/features.hpp"
#include "plan/plan.hpp"

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

std::vector<core::Availability> availability_of(const Engine& engine) {
  std::vector<core::Availability> all;
  all.reserve(engine.services().size());
  for (const core::Service& service : engine.services())
    all.push_back(core::availability(service, std::vector<core::Condition>(service.backends.size())));
  return all;
}

core::Result<rules::RuleSet> rules_of(const Engine& engine,
                                      const std::vector<core::Availability>& availability) {
  std::vector<core::Service> effective = engine.services();
  for (std::size_t i = 0; i < effective.size(); ++i)
    effective[i].backends = availability[i].backends;
  bool spread_by_port = true;
  for (const core::Family family : {core::Family::ipv4, core::Family::ipv6}) {
    if (std::ranges::none_of(effective, [&](const auto& each) { return each.vip.family() == family; }))
      continue;
    const auto can = rules::can_spread_by_port(family);
    if (!can) return tl::unexpected(can.error());
    spread_by_port = spread_by_port && *can;
  }
  return rules::plan(effective, engine.layout(), {.spread_by_port = spread_by_port});
}

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
