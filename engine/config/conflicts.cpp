#include "config/conflicts.hpp"

#include <cassert>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

namespace nfsteer::config {
namespace {

using core::Backend;
using core::endpoint_text;
using core::IpAddress;
using core::Service;

std::string_view family_name(const IpAddress& address) {
  return address.is_v4() ? "IPv4" : "IPv6";
}

core::Result<void> check_backend(const Place& place, const Service& service, const Backend& backend) {
  const std::string address = backend.address.to_string();
  if (backend.address.family() != service.vip.family())
    return place.fail(fmt::format("{} is {}, but the VIP {} is {}", address, family_name(backend.address),
                                  service.vip.to_string(), family_name(service.vip)),
                      "use backends of the VIP's family");
  // A packet that is routed, rather than sent from this host to itself, must not carry a loopback address
  // (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3); the kernel drops it as "martian".
  if (backend.address.is_loopback() && !service.vip.is_loopback())
    return place.fail(
        fmt::format("{} is a loopback address, which the kernel drops in routed packets", address),
        "write an address of an interface of that host");
  if (backend.port != 0 && service.port == 0)
    return place.fail(fmt::format("port {} in a service of every port", backend.port),
                      "give the service the port that clients ask for");
  return {};
}

core::Result<void> check_health(const Place& place, const Service& service) {
  const core::HealthCheck& check = *service.health;
  const bool needs_port = check.type == core::CheckType::tcp || check.type == core::CheckType::http ||
                          check.type == core::CheckType::udp;
  if (needs_port && check.port == 0 && service.port == 0)
    return place.fail("no port to check", "write port: N");
  if (check.passive > 0 && service.protocol != core::Protocol::tcp && service.protocol != core::Protocol::any)
    return place.field("passive").fail(fmt::format("passive counts TCP connections, and the protocol is {}",
                                                   core::to_string(service.protocol)),
                                       "have the service checked in another way");
  return {};
}

}  // namespace

core::Result<void> check_service(const Place& place, const Service& service) {
  if (service.port != 0 && service.protocol == core::Protocol::any)
    return place.field("port").fail(
        fmt::format("port {} with protocol any, which has no ports", service.port),
        "set the protocol to tcp, udp or sctp");
  if (service.health)
    if (auto good = check_health(place.field("health"), service); !good) return good;
  const Place backends = place.field("backends");
  std::map<std::pair<IpAddress, std::uint16_t>, std::size_t> seen;
  for (std::size_t i = 0; i < service.backends.size(); ++i) {
    const Backend& backend = service.backends[i];
    const Place item = backends.item(i);
    if (auto good = check_backend(item, service, backend); !good) return good;
    const std::uint16_t port = service.port_at(backend);
    if (const auto [first, is_new] = seen.try_emplace({backend.address, port}, i); !is_new)
      return item.fail(
          fmt::format("{} is backends[{}] already", endpoint_text(backend.address, port), first->second),
          "name each backend once and give it a weight");
  }
  return {};
}

core::Result<void> check_services(const Place& place, const std::vector<Service>& services) {
  std::unordered_map<std::string_view, std::size_t> names;
  std::map<std::tuple<IpAddress, core::Protocol, std::uint16_t>, std::size_t> keys;
  std::map<IpAddress, std::string_view> vips;
  for (std::size_t i = 0; i < services.size(); ++i) {
    const Service& service = services[i];
    if (const auto [first, is_new] = names.try_emplace(service.name, i); !is_new)
      return place.item(i).field("name").fail(
          fmt::format("\"{}\" is the name of services[{}] already", service.name, first->second),
          "give each service a name of its own");
    if (const auto [first, is_new] = keys.try_emplace({service.vip, service.protocol, service.port}, i);
        !is_new)
      return place.item(i).fail(
          fmt::format("services[{}] has the same VIP, protocol and port", first->second),
          "give each service a VIP, protocol or port of its own");
    vips.try_emplace(service.vip, service.name);
  }
  for (std::size_t i = 0; i < services.size(); ++i) {
    for (std::size_t j = 0; j < services[i].backends.size(); ++j) {
      const IpAddress& address = services[i].backends[j].address;
      const auto vip = vips.find(address);
      if (vip == vips.end()) continue;
      const std::string whose =
          address == services[i].vip ? "this service" : fmt::format("service \"{}\"", vip->second);
      return place.item(i)
          .field("backends")
          .item(j)
          .fail(fmt::format("{} is the VIP of {}", address.to_string(), whose),
                "write the address of a host: steered packets are not steered again");
    }
  }
  return {};
}

}  // namespace nfsteer::config
