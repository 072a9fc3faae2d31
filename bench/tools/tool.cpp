#include "tool.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include <fmt/core.h>

namespace nfsteer::bench {

void die_plainly(std::string_view what) {
  fmt::print(stderr, "{}: {}\n", program_invocation_short_name, what);
  std::_Exit(1);
}

void die(std::string_view what) {
  die_plainly(fmt::format("{}: {}", what, std::generic_category().message(errno)));
}

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

InNamespace::InNamespace(const std::string& path) {
  before_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  const int there = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (before_ < 0 || there < 0 || setns(there, CLONE_NEWNET) != 0) die(path);
  close(there);
}

InNamespace::~InNamespace() {
  if (setns(before_, CLONE_NEWNET) != 0) die("setns");
  close(before_);
}

sockaddr_in ipv4(const std::string& address, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  if (inet_pton(AF_INET, address.c_str(), &result.sin_addr) != 1) die_plainly(address + ": no IPv4 address");
  return result;
}

in_addr ipv4_plus(const sockaddr_in& address, std::uint32_t offset) {
  return {htonl(ntohl(address.sin_addr.s_addr) + offset)};
}

double percentile(const std::vector<double>& samples, double share) {
  if (samples.empty()) return 0;
  const auto index = static_cast<std::size_t>(share * static_cast<double>(samples.size()));
  return samples[std::min(index, samples.size() - 1)];
}

}  // namespace nfsteer::bench
