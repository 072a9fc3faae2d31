// A RuleSet as text, in the form that `iptables-legacy-save` and `ip6tables-legacy-save` (1.8.9) print: for
// people who want to see what would be installed, and for tests that compare it with what a kernel holds.
//
// Only what is ours is printed: our chains, our rules and the jumps from the built-in chains. So the text may
// be given to `iptables-legacy-restore --noflush`, with one difference: the port that a NETMAP rule binds is
// known to the kernel but not to iptables, which neither prints nor loads it. A line beginning with # before
// such a rule says so.
#pragma once

#include <string>

#include "plan/rule_set.hpp"

namespace nfsteer::rules {

// Empty where the rule set holds nothing for `family`. Tables as blocks `*name` to `COMMIT`, no counters.
std::string render(const RuleSet& rules, Family family);

// The rule as iptables-save prints it: "-A CHAIN ...", without end of line.
std::string render(const std::string& chain, const Rule& rule, Family family);

}  // namespace nfsteer::rules
