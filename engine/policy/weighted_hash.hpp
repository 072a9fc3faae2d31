// Source hash and flow hash: the hash of the client's address, or of the whole flow, decides as a random
// number would. Shares are exactly the weights', and a pick costs one table read; but when the backends
// change, most flows meet another one. Where that matters, maglev, rendezvous or ring hash do better.
#pragma once

#include <cstdint>
#include <optional>

#include "policy/alias_table.hpp"
#include "policy/hashing.hpp"
#include "policy/policy.hpp"

namespace nfsteer::policy {

class WeightedHash final : public Policy {
 public:
  WeightedHash(const BuildInput& input, HashKey key)
      : key_(key), table_(usable_by_identity(input.backends)) {}

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;

 private:
  HashKey key_;
  AliasTable table_;
};

}  // namespace nfsteer::policy
