#include "policy/weighted_round_robin.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "policy/hashing.hpp"

namespace nfsteer::policy {
namespace {

std::uint32_t common_divisor(std::span<const Usable> entries) {
  std::uint32_t divisor = 0;
  for (const Usable& each : entries)
    divisor = std::gcd(divisor, each.weight);
  return std::max(1U, divisor);
}

// Of the continued fraction of step / period; no number is large enough if they have a common divisor.
std::uint64_t largest_term(std::uint64_t step, std::uint64_t period) {
  std::uint64_t largest = 0;
  while (step != 0) {
    largest = std::max(largest, period / step);
    period = std::exchange(step, period % step);
  }
  return period == 1 ? largest : std::numeric_limits<std::uint64_t>::max();
}

// Near the golden section, with small terms. Among 64 neighbours of any number there is one prime to
// `period`, so that some limit is enough.
std::uint64_t even_step(std::uint64_t period) {
  if (period < 3) return 1;
  const auto golden = static_cast<std::uint64_t>(0.6180339887498949 * static_cast<double>(period) + 0.5);
  constexpr std::uint64_t kReach = 64;
  for (std::uint64_t limit = 3;; ++limit)
    for (std::uint64_t distance = 0; distance <= kReach; ++distance)
      for (const std::uint64_t step : {golden - distance, golden + distance})
        if (step > 0 && step < period && largest_term(step, period) <= limit) return step;
}

}  // namespace

WeightedRoundRobin::WeightedRoundRobin(const BuildInput& input)
    : WeightedRoundRobin(usable(input.backends), input.workers) {}

WeightedRoundRobin::WeightedRoundRobin(std::vector<Usable> entries, std::uint32_t workers)
    : entries_(std::move(entries)),
      table_(entries_, common_divisor(entries_)),
      step_(even_step(table_.sum())),
      turns_(workers) {}

std::optional<std::uint32_t> WeightedRoundRobin::pick(const core::FlowKey& /*flow*/,
                                                      core::PickContext& context) const noexcept {
  if (entries_.empty()) return std::nullopt;
  Turn& turn = turns_.of(context);
  if (!turn.has_started) turn = {true, below(context.random.next(), table_.sum())};
  const std::uint32_t entry = table_.find(turn.position);
  turn.position += step_;
  if (turn.position >= table_.sum()) turn.position -= table_.sum();
  return entries_[entry].index;
}

}  // namespace nfsteer::policy
