#include "policy/rendezvous.hpp"

#include <cmath>
#include <limits>

#include "policy/usable.hpp"

namespace nfsteer::policy {

Rendezvous::Rendezvous(const BuildInput& input, HashKey key) : key_(key) {
  for (const Usable& each : usable_by_identity(input.backends))
    entries_.push_back({identity_hash(input.backends[each.index], key.seed), 1.0 / each.weight, each.index});
}

std::optional<std::uint32_t> Rendezvous::pick(const core::FlowKey& flow,
                                              core::PickContext& /*context*/) const noexcept {
  if (entries_.empty()) return std::nullopt;
  const std::uint64_t hash = key_.of(flow);
  double first = std::numeric_limits<double>::infinity();
  std::uint32_t picked = entries_.front().index;
  for (const Entry& each : entries_) {
    const double uniform = static_cast<double>(mix(hash ^ each.identity) >> 11) * 0x1p-53;
    // The time is -ln(1 - uniform), which is never less than `uniform`: only those who might still be the
    // first, a handful of all, need the logarithm.
    if (uniform * each.weight_inverse >= first) continue;
    const double time = -std::log1p(-uniform) * each.weight_inverse;
    if (time >= first) continue;
    first = time;
    picked = each.index;
  }
  return picked;
}

}  // namespace nfsteer::policy
