// Overflow: the backend of the highest weight takes everything until it has as many connections as its
// weight, then the next one does. (IPVS' ovf lets each have one more.)
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policy/candidates.hpp"
#include "policy/policy.hpp"

namespace nfsteer::policy {

// Without live state, nothing is ever full.
class Overflow final : public Policy {
 public:
  // `strict`: when all are full no backend may take the flow, as in IPVS; else the one that is least loaded
  // for its weight takes it.
  Overflow(const BuildInput& input, bool strict);

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;
  bool uses_live() const noexcept override { return true; }

 private:
  std::vector<Candidate> ranked_;
  bool is_strict_;
};

}  // namespace nfsteer::policy
