// The steps of an explanation: which of the engine's rules a packet meets in which table, what they do to it,
// and what the engine does in between.
#pragma once

#include <vector>

#include "explain/explain.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::explain {

// `explanation` has its service, backends and choice already.
std::vector<PacketStep> steps_of(const Explanation& explanation, const rules::RuleSet& rules,
                                 const ClientMemory& memory);

}  // namespace nfsteer::explain
