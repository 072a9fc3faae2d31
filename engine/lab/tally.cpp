#include "lab/tally.hpp"

#include <algorithm>
#include <utility>

namespace nfsteer::lab {
namespace {

constexpr std::size_t kSlices = 100;

}  // namespace

Tally::Tally(const Scenario& scenario, core::PolicySpec policy, Nanoseconds expected_end)
    : warmup_(scenario.warmup) {
  report_.policy = std::move(policy);
  report_.slice = expected_end / kSlices + 1;
}

void Tally::decided(ServerNumber number, const Flow& flow) {
  BackendResult& backend = of(number);
  ++backend.decisions;
  backend.bytes += flow.bytes;
  ++report_.decisions;
  ++open_[number].this_epoch;
  ++epoch_decisions_;
  count_slice(number, flow.start);
}

void Tally::count_slice(ServerNumber number, Nanoseconds start) {
  // A run that lasts longer than expected ends in a long last slice.
  const std::size_t slice = std::min<std::size_t>(start / report_.slice, kSlices - 1);
  if (slice >= report_.timeline.size()) report_.timeline.resize(slice + 1);
  auto& counts = report_.timeline[slice];
  if (number >= counts.size()) counts.resize(number + 1);
  ++counts[number];
}

void Tally::answered(ServerNumber number, Nanoseconds response) {
  BackendResult& backend = of(number);
  ++backend.answered;
  backend.response.add(response);
  report_.response.add(response);
}

void Tally::close_epoch(const Members& members) {
  const auto sum = static_cast<double>(members.weight());
  std::uint64_t weighted = 0;
  for (std::size_t i = 0; i < members.numbers.size() && epoch_decisions_ > 0; ++i) {
    if (members.backends[i].weight == 0) continue;
    const double expected = static_cast<double>(epoch_decisions_) * members.backends[i].weight / sum;
    of(members.numbers[i]).expected += expected;
    report_.chi_square.add(static_cast<double>(open_of(members.numbers[i]).this_epoch), expected);
    ++weighted;
  }
  if (weighted > 1) report_.chi_square.degrees += weighted - 1;
  for (Open& each : open_)
    each.this_epoch = 0;
  epoch_decisions_ = 0;
}

Report Tally::take(const Fleet& fleet, Nanoseconds last_start) {
  if (fleet.size() > 0) grow_to(static_cast<ServerNumber>(fleet.size() - 1));
  report_.end = std::max(report_.end, last_start);
  for (ServerNumber number = 0; number < fleet.size(); ++number) {
    const Server& server = fleet.server(number);
    BackendResult& backend = report_.backends[number];
    backend.backend = server.backend;
    if (server.concurrency > 0 && report_.end > 0)
      backend.busy = open_[number].busy / (static_cast<double>(report_.end) * server.concurrency);
  }
  for (auto& counts : report_.timeline)
    counts.resize(fleet.size());
  return std::move(report_);
}

}  // namespace nfsteer::lab
