// Every built-in policy by name. To add one: write its class beside this file and add its row to
// catalogue.cpp.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "core/policy_spec.hpp"
#include "policy/options.hpp"
#include "policy/policy.hpp"

namespace nfsteer::policy {

struct PolicyInfo {
  std::string_view name;     // as the field calls it
  std::string_view alias;    // IPVS' short name; empty: it has none
  std::string_view summary;  // what it optimises, one line
  Contract contract;
  std::span<const OptionInfo> options;
  std::shared_ptr<const Policy> (*build)(const BuildInput& input, const Options& options);
};

// In the order they are documented in; the first is the default.
std::span<const PolicyInfo> catalogue();

// By name or alias; null if no policy has it.
const PolicyInfo* find(std::string_view name);

// The same spec with the policy's own name for its alias, if all is right with it. Of a policy file, nothing
// but the name is judged: who loads it judges the rest.
tl::expected<core::PolicySpec, SpecError> check(core::PolicySpec spec);

// Of a spec that check() has found right and that names no file. Null for any other name.
std::shared_ptr<const Policy> build(const core::PolicySpec& spec, const BuildInput& input);

}  // namespace nfsteer::policy
