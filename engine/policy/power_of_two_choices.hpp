// Power of two choices: of two backends drawn by weight, the one with fewer connections for its weight.
#pragma once

#include <cstdint>
#include <optional>

#include "policy/policy.hpp"
#include "policy/two_candidates.hpp"

namespace nfsteer::policy {

// Equally loaded ones, or no live state: the first drawn, which is weighted random.
class PowerOfTwoChoices final : public Policy {
 public:
  explicit PowerOfTwoChoices(const BuildInput& input) : candidates_(input) {}

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;
  bool uses_live() const noexcept override { return true; }

 private:
  TwoCandidates candidates_;
};

}  // namespace nfsteer::policy
