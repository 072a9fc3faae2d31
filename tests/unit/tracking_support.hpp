// Services and connections for the tests of the tracking layer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <linux/netfilter/nf_conntrack_common.h>

#include "core/snapshot.hpp"
#include "netlink/conntrack_message.hpp"

namespace nfsteer::tracking::test {

inline core::IpAddress address(const std::string& text) {
  return core::IpAddress::parse(text).value();
}

struct BackendAt {
  std::string address;
  std::uint16_t port;
  std::uint32_t slot;
};

inline core::SteeredService service(const std::string& name, const std::string& vip, core::Protocol protocol,
                                    std::uint16_t port, const std::vector<BackendAt>& backends) {
  core::SteeredService steered;
  steered.service.name = name;
  steered.service.vip = address(vip);
  steered.service.protocol = protocol;
  steered.service.port = port;
  for (const BackendAt& each : backends) {
    core::Backend backend;
    backend.address = address(each.address);
    backend.port = each.port;
    steered.service.backends.push_back(backend);
    steered.backend_slots.push_back(each.slot);
  }
  return steered;
}

template <typename... Services>
std::shared_ptr<const core::Snapshot> lookup(Services... services) {
  std::vector<core::SteeredService> all;
  (all.push_back(std::move(services)), ...);
  return std::make_shared<const core::Snapshot>(std::move(all));
}

// From `client` port of 10.0.0.10 (or fd00::10) to the VIP, translated to the backend.
inline netlink::Connection connection(std::uint8_t protocol, std::uint16_t client, const std::string& vip,
                                      std::uint16_t port, const std::string& backend,
                                      std::uint16_t backend_port, std::uint32_t id = 1) {
  netlink::Connection made;
  const core::IpAddress to = address(vip), given = address(backend);
  const core::IpAddress from = address(to.is_v4() ? "10.0.0.10" : "fd00::10");
  const auto put = [](const core::IpAddress& value, auto& bytes) {
    std::ranges::copy(value.bytes(), bytes.begin());
  };
  put(from, made.original.source);
  put(to, made.original.destination);
  put(given, made.reply.source);
  put(from, made.reply.destination);
  made.original.family = made.reply.family = to.family();
  made.original.protocol = made.reply.protocol = protocol;
  made.original.source_port = made.reply.destination_port = client;
  made.original.destination_port = port;
  made.reply.source_port = backend_port;
  made.id = id;
  made.status = IPS_DST_NAT;
  return made;
}

}  // namespace nfsteer::tracking::test
