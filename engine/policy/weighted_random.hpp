// Weighted random: each pick costs one random number and one table read, however many backends there are.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "policy/alias_table.hpp"
#include "policy/policy.hpp"

namespace nfsteer::policy {

class WeightedRandom final : public Policy {
 public:
  // Shares are weight / sum of weights to within 2^-32 of a column each; weight 0 is never picked.
  explicit WeightedRandom(const BuildInput& input) : table_(usable(input.backends)) {}

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;

  using Column = AliasTable::Column;
  std::span<const Column> columns() const { return table_.columns(); }

 private:
  AliasTable table_;
};

}  // namespace nfsteer::policy
