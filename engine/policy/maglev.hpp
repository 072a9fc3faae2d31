// Maglev hashing (D. Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI
// 2016, section 3.4), weighted: a table that the backends fill in turns, each going for the places of a
// permutation of its own; a flow's hash says which place it looks at.
//
// The turns' order is by (2k + 1) / weight for a backend's k-th turn: so shares are the weights' to within
// about one place (Webster's method), and whose turn comes before whose does not depend on third backends.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "policy/hashing.hpp"
#include "policy/policy.hpp"

namespace nfsteer::policy {

class Maglev final : public Policy {
 public:
  // `table_size`: a prime. It limits how exact shares are and how few flows move: the paper advises more than
  // 100 times the number of backends. A backend whose share is less than half a place gets nothing, and so do
  // those beyond the 65,535th of the list.
  Maglev(const BuildInput& input, std::uint32_t table_size, HashKey key);

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;

  // The backend index of each place; empty if no backend is usable.
  std::span<const std::uint16_t> table() const { return table_; }

 private:
  HashKey key_;
  std::vector<std::uint16_t> table_;
};

}  // namespace nfsteer::policy
