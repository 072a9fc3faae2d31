#include "policy/weighted_failover.hpp"

#include "policy/usable.hpp"

namespace nfsteer::policy {

WeightedFailover::WeightedFailover(const BuildInput& input) {
  const auto ranked = usable_by_rank(input.backends);
  if (!ranked.empty()) first_ = ranked.front().index;
}

}  // namespace nfsteer::policy
