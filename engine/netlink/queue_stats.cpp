#include "netlink/queue_stats.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <system_error>

namespace nfsteer::netlink {
namespace {

// /proc/net is /proc/self/net, which follows the main thread; this one follows the thread that reads.
constexpr const char* kStatsPath = "/proc/thread-self/net/netfilter/nfnetlink_queue";

std::optional<std::uint32_t> take_number(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  if (error != std::errc{}) return std::nullopt;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  return value;
}

// queue, port id, waiting, copy mode, copy range, dropped, user dropped, id sequence, and a constant 1
std::optional<QueueStats> parse_line(std::string_view line) {
  std::array<std::uint32_t, 8> fields{};
  for (std::uint32_t& field : fields) {
    const auto number = take_number(line);
    if (!number) return std::nullopt;
    field = *number;
  }
  if (fields[0] > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
  return QueueStats{static_cast<std::uint16_t>(fields[0]),
                    fields[1],
                    fields[2],
                    fields[3],
                    fields[4],
                    fields[5],
                    fields[6],
                    fields[7]};
}

}  // namespace

core::Result<std::vector<QueueStats>> parse_queue_stats(std::string_view text) {
  std::vector<QueueStats> queues;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto queue = parse_line(line);
    if (!queue) return core::system_error(kStatsPath, "cannot read the line \"" + std::string(line) + '"');
    queues.push_back(*queue);
  }
  return queues;
}

core::Result<std::vector<QueueStats>> read_queue_stats() {
  errno = 0;
  std::ifstream file(kStatsPath);
  if (!file) return core::system_error(kStatsPath, std::generic_category().message(errno));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return parse_queue_stats(text);
}

}  // namespace nfsteer::netlink
