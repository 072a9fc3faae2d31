// What tells a backend from every other, in every service.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "core/address.hpp"
#include "core/service.hpp"

namespace nfsteer::core {

struct BackendKey {
  std::string service;
  IpAddress address;
  std::uint16_t port = 0;  // as configured: 0 where it is the one that the client asked for
  friend auto operator<=>(const BackendKey&, const BackendKey&) = default;
};

inline BackendKey key_of(const Service& service, const Backend& backend) {
  return {service.name, backend.address, backend.port};
}

}  // namespace nfsteer::core
