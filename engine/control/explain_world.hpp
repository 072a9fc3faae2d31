// What an explanation needs to know of a running engine and its host.
#pragma once

#include <vector>

#include "control/engine.hpp"
#include "core/address.hpp"
#include "core/availability.hpp"
#include "core/result.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::control {

// Of each of the engine's services, in order: every backend counts as healthy, what the operator has set
// counts.
std::vector<core::Availability> availability_of(const Engine& engine);

// The rules that the kernel holds for the engine. Errors: the kernel cannot be asked what it can do.
core::Result<rules::RuleSet> rules_of(const Engine& engine,
                                      const std::vector<core::Availability>& availability);

// Whether packets with this source are this host's own. Errors: the kernel does not tell.
core::Result<bool> is_own_address(const core::IpAddress& address);

}  // namespace nfsteer::control
