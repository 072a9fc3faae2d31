#include "explain/world.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "iptc/recent_lists.hpp"
#include "plan/affinity.hpp"

namespace nfsteer::explain {
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

namespace {

// Reads lists as long as it lives; each of its answers is of now.
class RecentLists {
 public:
  // Seconds since the client was seen; nothing: it is not in the list.
  std::optional<std::uint32_t> age_s(const std::string& list, std::uint8_t prefix,
                                     const core::IpAddress& client) {
    const auto clients = rules::read_recent_list(list);
    if (!clients) return std::nullopt;
    const auto found = std::ranges::find(*clients, masked(client, prefix), &rules::RecentClient::address);
    if (found == clients->end()) return std::nullopt;
    return clock_.age_s(found->last_seen, rules::monotonic_ns());
  }

 private:
  static core::IpAddress masked(const core::IpAddress& address, std::size_t prefix) {
    std::array<std::uint8_t, 16> bytes{};
    std::ranges::copy(address.bytes(), bytes.begin());
    for (std::size_t bit = prefix; bit < address.bytes().size() * 8; ++bit)
      bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] & ~(0x80U >> bit % 8));
    return core::IpAddress::from_bytes(address.family(), std::span(bytes).first(address.bytes().size()));
  }

  rules::TickClock clock_ = rules::TickClock::of_kernel();
};

// The backend whose list has seen the client last: of two lists that hold it the older one is out of date.
std::optional<CertainChoice> last_backend(RecentLists& lists, const core::Service& service,
                                          const core::FlowKey& flow) {
  std::optional<CertainChoice> choice;
  std::uint32_t youngest_s = 0;
  const std::uint8_t prefix =
      service.vip.is_v4() ? service.affinity->ipv4_prefix : service.affinity->ipv6_prefix;
  for (std::size_t i = 0; i < service.backends.size(); ++i) {
    if (service.backends[i].weight == 0) continue;
    const auto age_s =
        lists.age_s(rules::affinity_list(service, service.backends[i]), prefix, flow.source_address());
    if (!age_s || std::chrono::seconds(*age_s) > service.affinity->timeout) continue;
    if (choice && *age_s >= youngest_s) continue;
    youngest_s = *age_s;
    choice =
        CertainChoice{i, fmt::format("affinity: the client's last connection, {} s ago, went there", *age_s)};
  }
  return choice;
}

}  // namespace

ClientMemory kernel_memory() {
  const auto lists = std::make_shared<RecentLists>();
  return {.choice = [lists](const core::Service& service,
                            const core::FlowKey& flow) { return last_backend(*lists, service, flow); },
          .in_list =
              [lists](const rules::Recent& match, const core::IpAddress& client) {
                const auto age_s = lists->age_s(match.list, match.prefix, client);
                return age_s && *age_s <= match.seconds;
              }};
}

}  // namespace nfsteer::explain
