// Weighted failover: the usable backend of the highest weight takes everything; of several, the one of the
// lowest address and port. The others wait for it to go.
#pragma once

#include <cstdint>
#include <optional>

#include "policy/policy.hpp"

namespace nfsteer::policy {

class WeightedFailover final : public Policy {
 public:
  explicit WeightedFailover(const BuildInput& input);

  std::optional<std::uint32_t> pick(const core::FlowKey& /*flow*/,
                                    core::PickContext& /*context*/) const noexcept override {
    return first_;
  }

 private:
  std::optional<std::uint32_t> first_;
};

}  // namespace nfsteer::policy
