#include "iptc/recent_lists.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fstream>

namespace nfsteer::rules {

namespace {

constexpr unsigned long kPlausible_s = 3600;  // the counter is not believed to be further off than that

// /proc/net is that of the main thread.
std::string path_of(const std::string& list) {
  return "/proc/thread-self/net/xt_recent/" + list;
}

class File {
 public:
  File(const std::string& path, int flags) : fd_(open(path.c_str(), flags | O_CLOEXEC)) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd() const { return fd_; }

 private:
  int fd_;
};

// The text behind `key` in the line, up to the next blank.
std::string_view word_behind(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(key);
  if (at == std::string_view::npos) return {};
  line.remove_prefix(at + key.size());
  return line.substr(0, line.find(' '));
}

std::optional<unsigned long> number(std::string_view word) {
  unsigned long value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (word.empty() || error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

std::uint64_t nanoseconds(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

std::vector<RecentClient> parse_recent_list(std::string_view text) {
  std::vector<RecentClient> clients;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.substr(0, 4) != "src=") continue;
    const auto address = core::IpAddress::parse(word_behind(line, "src="));
    const auto last_seen = number(word_behind(line, " last_seen: "));
    if (address && last_seen) clients.push_back({*address, *last_seen});
  }
  return clients;
}

core::Result<std::vector<RecentClient>> read_recent_list(const std::string& list) {
  const File file(path_of(list), O_RDONLY);
  if (file.fd() < 0) {
    if (errno == ENOENT) return std::vector<RecentClient>{};
    return core::system_error(path_of(list), std::strerror(errno));
  }
  std::string text;
  for (;;) {
    constexpr std::size_t kPiece = 65536;
    const std::size_t had = text.size();
    text.resize(had + kPiece);
    const ssize_t got = read(file.fd(), text.data() + had, kPiece);
    text.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return core::system_error(path_of(list), std::strerror(errno));
    if (got == 0) return parse_recent_list(text);
  }
}

bool forget_recent_client(const std::string& list, const core::IpAddress& client) {
  const File file(path_of(list), O_WRONLY);
  const std::string command = '-' + client.to_string() + '\n';
  return file.fd() >= 0 &&
         write(file.fd(), command.data(), command.size()) == static_cast<ssize_t>(command.size());
}

std::optional<unsigned> recent_list_length() {
  std::ifstream file("/sys/module/xt_recent/parameters/ip_list_tot");
  unsigned length = 0;
  if (!(file >> length)) return std::nullopt;
  return length;
}

std::uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return nanoseconds(now);
}

TickClock TickClock::of_kernel() {
  timespec tick{};
  clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  TickClock clock(std::max<std::uint64_t>(nanoseconds(tick), 1));
  std::ifstream timers("/proc/timer_list");
  for (std::string line; std::getline(timers, line);) {
    if (line.rfind("jiffies: ", 0) != 0) continue;
    if (const auto ticks = number(word_behind(line, "jiffies: "))) clock.set(*ticks, monotonic_ns());
    break;
  }
  return clock;
}

std::uint32_t TickClock::age_s(unsigned long ticks, std::uint64_t monotonic_ns) {
  const unsigned long per_second = static_cast<unsigned long>(1'000'000'000 / tick_ns_);
  const unsigned long age = start_ + elapsed(monotonic_ns) - ticks;
  if (const unsigned long ahead = 0UL - age; age != 0 && ahead < age) {
    if (ahead / kPlausible_s <= per_second) start_ += ahead;
    return 0;
  }
  return static_cast<std::uint32_t>(age / per_second);
}

}  // namespace nfsteer::rules
