// The policies that look at every backend's connections and take the least loaded one: the same scan under
// four rules. Costs grow with the number of backends, as in IPVS; where that is too much, power of two
// choices comes close at the cost of two looks.
//
// Equally good backends are drawn by weight, where IPVS takes the first of the list: so a rebuild or an idle
// service favours nobody. Where nothing is known of the load (no live state), all count as equally good.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policy/alias_table.hpp"
#include "policy/candidates.hpp"
#include "policy/policy.hpp"

namespace nfsteer::policy {

// What is compared: cost(connections) / weight. `weighted` false: every backend counts as weight 1.
struct ByConnections {
  static constexpr bool weighted = false;
  static constexpr std::uint64_t cost(std::uint64_t load) { return load; }
};
struct ByWeightedConnections {
  static constexpr bool weighted = true;
  static constexpr std::uint64_t cost(std::uint64_t load) { return load; }
};
// With the new connection counted in: what it would wait if weight is speed.
struct ByExpectedDelay {
  static constexpr bool weighted = true;
  static constexpr std::uint64_t cost(std::uint64_t load) { return load + 1; }
};
// The same, but that an idle backend is better than any faster one.
struct ByIdleThenDelay {
  static constexpr bool weighted = true;
  static constexpr std::uint64_t cost(std::uint64_t load) { return load == 0 ? 0 : load + 1; }
};

template <typename Rule>
class LeastLoaded final : public Policy {
 public:
  explicit LeastLoaded(const BuildInput& input);

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;
  bool uses_live() const noexcept override { return true; }

 private:
  std::vector<Candidate> candidates_;  // none: nothing is known of the load
  AliasTable unknown_;                 // what decides then
};

using LeastConnections = LeastLoaded<ByConnections>;
using WeightedLeastConnections = LeastLoaded<ByWeightedConnections>;
using ShortestExpectedDelay = LeastLoaded<ByExpectedDelay>;
using NeverQueue = LeastLoaded<ByIdleThenDelay>;

}  // namespace nfsteer::policy
