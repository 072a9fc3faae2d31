// Weighted random by the alias method (A. J. Walker 1977; construction by M. D. Vose 1991): each pick costs
// one random number and one table read, however many backends there are.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "policy/policy.hpp"

namespace nfsteer::policy {

class WeightedRandom final : public Policy {
 public:
  // Shares are weight / sum of weights to within 2^-32 of a column each; weight 0 is never picked.
  explicit WeightedRandom(const BuildInput& input);

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;

  // One column of the table: itself with probability `keep` / 2^32, else `alias`.
  struct Column {
    std::uint32_t keep = 0;
    std::uint32_t self = 0;   // backend index
    std::uint32_t alias = 0;  // backend index
  };
  std::span<const Column> columns() const { return columns_; }

 private:
  std::vector<Column> columns_;  // one per backend of positive weight
};

}  // namespace nfsteer::policy
