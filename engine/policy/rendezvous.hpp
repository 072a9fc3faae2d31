// Rendezvous hashing, or highest random weight (D. Thaler and C. Ravishankar 1998), weighted: every backend
// draws, from the hash of flow and backend, an exponentially distributed time with its weight as rate; the
// first one has the flow. That is the maximum of -weight / ln(hash) (J. Resch 2015) without the division.
//
// Nothing moves that need not: a flow changes its backend only from one that leaves or loses weight, or to
// one that comes or gains weight. The price is a look at every backend per pick.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policy/hashing.hpp"
#include "policy/policy.hpp"

namespace nfsteer::policy {

class Rendezvous final : public Policy {
 public:
  Rendezvous(const BuildInput& input, HashKey key);

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;

 private:
  struct Entry {
    std::uint64_t identity = 0;
    double weight_inverse = 0;
    std::uint32_t index = 0;
  };
  HashKey key_;
  std::vector<Entry> entries_;  // by identity, which decides where times are equal
};

}  // namespace nfsteer::policy
