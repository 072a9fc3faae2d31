#include "policy/weighted_hash.hpp"

namespace nfsteer::policy {

std::optional<std::uint32_t> WeightedHash::pick(const core::FlowKey& flow,
                                                core::PickContext& /*context*/) const noexcept {
  return table_.pick(key_.of(flow));
}

}  // namespace nfsteer::policy
