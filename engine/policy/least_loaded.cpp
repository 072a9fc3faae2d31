#include "policy/least_loaded.hpp"

namespace nfsteer::policy {
namespace {

std::vector<Usable> entries_of(const BuildInput& input, bool weighted) {
  std::vector<Usable> entries = usable(input.backends);
  if (!weighted)
    for (Usable& each : entries)
      each.weight = 1;
  return entries;
}

}  // namespace

template <typename Rule>
LeastLoaded<Rule>::LeastLoaded(const BuildInput& input) : unknown_(entries_of(input, Rule::weighted)) {
  if (!input.live.empty()) candidates_ = candidates(entries_of(input, Rule::weighted), input.live);
}

template <typename Rule>
std::optional<std::uint32_t> LeastLoaded<Rule>::pick(const core::FlowKey& /*flow*/,
                                                     core::PickContext& context) const noexcept {
  if (candidates_.empty()) return unknown_.pick(context.random.next());
  return least_loaded(candidates_, context.random, Rule::cost).index;
}

template class LeastLoaded<ByConnections>;
template class LeastLoaded<ByWeightedConnections>;
template class LeastLoaded<ByExpectedDelay>;
template class LeastLoaded<ByIdleThenDelay>;

}  // namespace nfsteer::policy
