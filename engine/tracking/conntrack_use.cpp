#include "tracking/conntrack_use.hpp"

#include <fstream>
#include <string>

namespace nfsteer::tracking {
namespace {

// The kernel shows under /proc/sys/net what belongs to the thread that opens it.
template <typename Number>
Number read_setting(const std::string& name, Number otherwise) {
  std::ifstream file("/proc/sys/net/netfilter/nf_conntrack_" + name);
  Number value{};
  return file >> value ? value : otherwise;
}

}  // namespace

ConntrackUse conntrack_use() {
  return {.entries = read_setting<std::uint64_t>("count", 0),
          .entries_max = read_setting<std::uint64_t>("max", 0)};
}

int conntrack_events_setting() {
  return read_setting("events", -1);
}

}  // namespace nfsteer::tracking
