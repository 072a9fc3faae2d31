#include "policy/round_robin.hpp"

#include "policy/hashing.hpp"
#include "policy/usable.hpp"

namespace nfsteer::policy {

RoundRobin::RoundRobin(const BuildInput& input) : turns_(input.workers) {
  for (const Usable& each : usable(input.backends))
    indices_.push_back(each.index);
}

std::optional<std::uint32_t> RoundRobin::pick(const core::FlowKey& /*flow*/,
                                              core::PickContext& context) const noexcept {
  if (indices_.empty()) return std::nullopt;
  Turn& turn = turns_.of(context);
  if (!turn.has_started)
    turn = {true, static_cast<std::uint32_t>(below(context.random.next(), indices_.size()))};
  const std::uint32_t picked = indices_[turn.next];
  turn.next = turn.next + 1 == indices_.size() ? 0 : turn.next + 1;
  return picked;
}

}  // namespace nfsteer::policy
