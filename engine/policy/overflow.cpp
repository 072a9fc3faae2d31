#include "policy/overflow.hpp"

namespace nfsteer::policy {

Overflow::Overflow(const BuildInput& input, bool strict)
    : ranked_(candidates(usable_by_rank(input.backends), input.live)), is_strict_(strict) {}

std::optional<std::uint32_t> Overflow::pick(const core::FlowKey& /*flow*/,
                                            core::PickContext& context) const noexcept {
  for (const Candidate& each : ranked_)
    if (each.live == nullptr || each.live->load() < each.weight) return each.index;
  if (ranked_.empty() || is_strict_) return std::nullopt;
  return least_loaded(ranked_, context.random, [](std::uint64_t load) { return load; }).index;
}

}  // namespace nfsteer::policy
