// What differs between two lists of services, for people: one line each.
//
//   + service dns: 10.0.0.41:53 udp, 2 backends
//   - service old
//   ~ service web: mode connection -> dnat
//   ~ service web: + backend 10.0.0.31:8081, weight 2
//   ~ service web: ~ backend 10.0.0.20, weight 1 -> 3
//
// Services are the same by name, backends by address and port; the order of either does not matter.
#pragma once

#include <string>
#include <vector>

#include "core/service.hpp"

namespace nfsteer::config {

std::vector<std::string> differences(const std::vector<core::Service>& before,
                                     const std::vector<core::Service>& after);

// The services themselves, one line each and one for each backend.
std::vector<std::string> description(const std::vector<core::Service>& services);

}  // namespace nfsteer::config
