#include "policy/candidates.hpp"

namespace nfsteer::policy {

std::vector<Candidate> candidates(std::span<const Usable> entries, core::LiveView live) {
  std::vector<Candidate> result;
  for (const Usable& each : entries)
    result.push_back({live.empty() ? nullptr : live[each.index], each.index, each.weight});
  return result;
}

}  // namespace nfsteer::policy
