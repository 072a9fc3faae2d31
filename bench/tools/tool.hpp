// What the load tools share: clocks, namespaces, addresses, percentiles. A tool that cannot go on says why in
// one line and ends with exit code 1; results go to stdout as one JSON object.
#pragma once

#include <netinet/in.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nfsteer::bench {

using Clock = std::chrono::steady_clock;

// "PROGRAM: what: errno's text", exit code 1.
[[noreturn]] void die(std::string_view what);
// As above, without errno.
[[noreturn]] void die_plainly(std::string_view what);

double seconds_between(Clock::time_point from, Clock::time_point to);

// The calling thread lives in the network namespace at `path` (/run/netns/NAME) until the object ends.
// Sockets and files of /proc/thread-self/net that it opens meanwhile stay there.
class InNamespace {
 public:
  explicit InNamespace(const std::string& path);
  ~InNamespace();
  InNamespace(const InNamespace&) = delete;
  InNamespace& operator=(const InNamespace&) = delete;

 private:
  int before_ = -1;
};

sockaddr_in ipv4(const std::string& address, std::uint16_t port);

// `address` counted up by `offset`.
in_addr ipv4_plus(const sockaddr_in& address, std::uint32_t offset);

// The sample at `share` (0..1) of the sorted `samples`; 0 if there are none.
double percentile(const std::vector<double>& samples, double share);

}  // namespace nfsteer::bench
