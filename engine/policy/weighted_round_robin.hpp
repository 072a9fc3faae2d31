// Smooth weighted round robin: over each period of (sum of weights / their greatest common divisor) picks,
// every backend is picked exactly as often as its weight says, and its picks lie evenly among the others'.
//
// nginx and LVS find the next backend by looking at all of them. Here the backends lie end to end on a circle
// of one period's circumference, and each pick steps on by the same distance, prime to the circumference:
// every position is met once per period, and by the three-distance theorem (V. T. Sos 1958) the times between
// two picks of one backend take at most three values. Those are close together if the distance is near the
// golden section of the circle and all terms of its continued fraction are small.
//
// Each worker goes its own round, from a position drawn at random: so each single pick, too, is distributed
// as the weights say, and lists that are rebuilt often favour nobody.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policy/cumulative_table.hpp"
#include "policy/per_worker.hpp"
#include "policy/policy.hpp"

namespace nfsteer::policy {

class WeightedRoundRobin final : public Policy {
 public:
  explicit WeightedRoundRobin(const BuildInput& input);

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;

  std::uint64_t period() const { return table_.sum(); }

 private:
  struct Turn {
    bool has_started = false;
    std::uint64_t position = 0;
  };
  explicit WeightedRoundRobin(std::vector<Usable> entries, std::uint32_t workers);

  std::vector<Usable> entries_;
  CumulativeTable table_;
  std::uint64_t step_;
  PerWorker<Turn> turns_;
};

}  // namespace nfsteer::policy
