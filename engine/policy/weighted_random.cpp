#include "policy/weighted_random.hpp"

namespace nfsteer::policy {

std::optional<std::uint32_t> WeightedRandom::pick(const core::FlowKey& /*flow*/,
                                                  core::PickContext& context) const noexcept {
  return table_.pick(context.random.next());
}

}  // namespace nfsteer::policy
