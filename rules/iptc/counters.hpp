// What the kernel has counted in the rules of each service. Rules of the nat table see the first packet of a
// connection only, so their packets are connections.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/result.hpp"

namespace nfsteer::rules {

struct ServiceCounters {
  std::uint64_t bound =
      0;  // new connections that kept the backend which the engine had written into the packet
  std::uint64_t ladder = 0;  // new connections that went through the DNAT ladder
};

// By service name; services without rules are absent. A count goes on over changes of other rules and starts
// anew when the service's own rule changes: another VIP, protocol or port.
core::Result<std::map<std::string, ServiceCounters>> read_counters();

}  // namespace nfsteer::rules
