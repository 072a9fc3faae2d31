// The options of a policy: whole numbers, each with a range, a default and a name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/policy_spec.hpp"
#include "core/result.hpp"

namespace nfsteer::policy {

struct OptionInfo {
  std::string_view name;     // units last: decay_ms
  std::string_view summary;  // for people, one line
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  std::uint64_t usual = 0;
  // What is wrong with a number in the range; empty: nothing. Null: the range says it all.
  std::string_view (*refuse)(std::uint64_t value) = nullptr;
};

// Of one policy, with values for all it has.
class Options {
 public:
  // Of a spec that check() has found right.
  Options(std::span<const OptionInfo> infos, const core::PolicySpec& spec);

  // Of an option that the policy has.
  std::uint64_t operator[](std::string_view name) const;

 private:
  std::span<const OptionInfo> infos_;
  std::vector<std::uint64_t> values_;  // as infos_
};

// What is wrong with a spec: with which part of it, and what to do.
struct SpecError {
  std::string option;  // its name; empty: the policy's name
  std::string reason;
  std::string mend;
};

// What is wrong with the options of a spec, each by its info; nothing: all is right.
tl::expected<void, SpecError> check_options(std::span<const OptionInfo> infos, const core::PolicySpec& spec);

}  // namespace nfsteer::policy
