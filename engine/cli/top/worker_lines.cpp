#include "cli/top/worker_lines.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace nfsteer::cli::top {
namespace {

// Where the columns end.
constexpr std::array<std::size_t, 6> kEnds{6, 17, 26, 35, 52, 69};
constexpr std::array<std::string_view, 6> kHeadings{"worker",  "packets/s",     "batch",
                                                    "waiting", "dropped, full", "dropped, socket"};

// "12", and while it grows "12 +3.0/s".
std::string dropped_text(std::uint64_t count, const Rate& rate) {
  const std::string text = count_text(count);
  return rate.value_or(0) > 0 ? fmt::format("{} +{}/s", text, rate_text(rate)) : text;
}

Style style_of(const Rate& dropped) {
  return dropped.value_or(0) > 0 ? Style::alarm : Style::plain;
}

}  // namespace

Line worker_heading(Line line) {
  for (std::size_t i = 0; i < kEnds.size(); ++i)
    line.add_right(kHeadings[i], kEnds[i]);
  return line;
}

Line worker_line(std::size_t worker, const Sample& sample, const Rates& rates, Line line) {
  const WorkerSample& now = sample.workers[worker];
  const WorkerRates& change = rates.workers[worker];
  line.add_right(fmt::format("{}", worker), kEnds[0]);
  line.add_right(rate_text(change.packets), kEnds[1]);
  line.add_right(rate_text(change.batch_mean), kEnds[2]);
  line.add_right(count_text(now.waiting), kEnds[3]);
  line.add_right(dropped_text(now.dropped_full, change.dropped_full), kEnds[4],
                 style_of(change.dropped_full));
  line.add_right(dropped_text(now.dropped_user, change.dropped_user), kEnds[5],
                 style_of(change.dropped_user));
  return line;
}

Line worker_sums(const Sample& sample, Line line) {
  WorkerSample sums;
  std::size_t most = 0;
  for (std::size_t i = 0; i < sample.workers.size(); ++i) {
    const WorkerSample& each = sample.workers[i];
    sums.waiting += each.waiting;
    sums.dropped_full += each.dropped_full;
    sums.dropped_user += each.dropped_user;
    if (each.waiting > sample.workers[most].waiting) most = i;
  }
  line.add(fmt::format("workers {}  waiting {}", sample.workers.size(), sums.waiting));
  if (sums.waiting > 0) line.add(fmt::format(" (worker {}: {})", most, sample.workers[most].waiting));
  return line.add(fmt::format("  dropped: full {}, socket {}", sums.dropped_full, sums.dropped_user));
}

}  // namespace nfsteer::cli::top
