// The usable backends with their live state, for policies that compare loads.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/live_backend.hpp"
#include "core/random.hpp"
#include "policy/policy.hpp"
#include "policy/usable.hpp"

namespace nfsteer::policy {

struct Candidate {
  const core::LiveBackend* live = nullptr;  // null: nothing is known of any
  std::uint32_t index = 0;                  // into the backends of the build
  std::uint32_t weight = 0;                 // positive
};

// In the order of `entries`.
std::vector<Candidate> candidates(std::span<const Usable> entries, core::LiveView live);

// load_a / weight_a < load_b / weight_b, exactly, for loads below 2^47.
constexpr bool is_less_loaded(std::uint64_t load_a, const Candidate& a, std::uint64_t load_b,
                              const Candidate& b) {
  return load_a * b.weight < load_b * a.weight;
}

// The candidate of the least cost(load) / weight, by one look at each; of several, one drawn by weight. There
// must be candidates, with live state.
//
// The draw is reservoir sampling that skips: with S the weight of the equal ones so far and u uniform in
// (0, 1], the next one to replace the choice is the first at which that weight exceeds S / u. So even if all
// are equal, only a few random numbers are drawn.
template <typename Cost>
const Candidate& least_loaded(std::span<const Candidate> candidates, core::Random& random, Cost cost) {
  const auto next_change = [&random](std::uint64_t weight) {
    const double uniform = static_cast<double>((random.next() >> 11) + 1) * 0x1p-53;
    const double change = static_cast<double>(weight) / uniform;
    return change < 0x1p63 ? static_cast<std::uint64_t>(change) : std::numeric_limits<std::uint64_t>::max();
  };
  const Candidate* best = &candidates.front();
  std::uint64_t least = cost(best->live->load());
  std::uint64_t equal_weight = best->weight;
  std::uint64_t change = next_change(equal_weight);
  for (const Candidate& each : candidates.subspan(1)) {
    const std::uint64_t load = cost(each.live->load());
    if (is_less_loaded(load, each, least, *best)) {
      equal_weight = 0;
    } else if (is_less_loaded(least, *best, load, each)) {
      continue;
    }
    const bool is_first = equal_weight == 0;
    equal_weight += each.weight;
    if (!is_first && equal_weight <= change) continue;
    best = &each;
    least = load;
    change = next_change(equal_weight);
  }
  return *best;
}

}  // namespace nfsteer::policy
