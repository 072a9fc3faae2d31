// What a rule set needs from the kernel, and whether this kernel has it, asked before anything is changed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

struct Feature {
  enum class Kind : std::uint8_t { table, match, target };
  Family family = Family::ipv4;
  Kind kind = Kind::table;
  std::string_view name;
  std::uint8_t revision = 0;  // of a match or target
  std::string_view module;    // who brings it ...
  std::string_view option;    // ... and the kernel option it is built by

  friend auto operator<=>(const Feature&, const Feature&) = default;
};

// Each once.
std::vector<Feature> features_of(const RuleSet& rules);

// Asks the running kernel, which may load a module to answer; one without legacy tables at all has nothing.
// Fails where the question cannot be put: no privilege.
core::Result<bool> kernel_has(const Feature& feature);

using AskKernel = std::function<core::Result<bool>(const Feature&)>;

// The error names everything that `rules` needs and the kernel lacks.
core::Result<void> probe(const RuleSet& rules, const AskKernel& ask = kernel_has);

// False: plan with PlanOptions::spread_by_port off.
core::Result<bool> can_spread_by_port(Family family, const AskKernel& ask = kernel_has);

// The mend for a missing feature, or for a whole missing table.
std::string mend_for(const Feature& feature);
Feature table_feature(const TableId& id);

}  // namespace nfsteer::rules
