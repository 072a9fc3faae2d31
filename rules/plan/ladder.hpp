// The DNAT ladder: weighted random choice among a service's backends, made by the kernel alone. It carries a
// service in mode `dnat`, and every connection that did not meet the engine.
//
// It is a tree. Each chain offers up to kLadderWidth choices, weighed by what lies below them, as a list of
// `statistic` rules: the k-th is taken with probability weight(k) / (weight(k) + ... + weight(last)), the
// last without a test. A thousand backends cost a dozen rule evaluations; a plain list would cost five
// hundred.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/service.hpp"
#include "plan/chain_names.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

inline constexpr std::size_t kLadderWidth = 4;

// part / whole in units of 1/Statistic::kOne, rounded to nearest, yet neither impossible nor certain.
// 0 < part < whole.
std::uint32_t probability(std::uint64_t part, std::uint64_t whole);

// Adds the chains of the service's ladder and returns the name of its first one. Backends of weight 0 are
// left out; the service has at least one usable backend. With affinity, who comes down to a backend is
// entered into its list (plan/affinity.hpp).
std::string add_ladder(const core::Service& service, ChainNames& names, std::map<std::string, Chain>& chains);

}  // namespace nfsteer::rules
