// What a trial is told, as bytes from this program to itself: never from anywhere else.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/policy_spec.hpp"
#include "core/service.hpp"
#include "policy/policy.hpp"

namespace nfsteer::plugin {

struct TrialInput {
  std::vector<core::Backend> backends;  // address, port, weight and data
  std::vector<core::PolicySpec::Option> options;
  std::uint32_t workers = 1;
  std::uint64_t budget_ns = 0;  // of a decision; 0: it may take as long as it likes
  bool is_live = false;         // connections are counted

  std::string encode() const;
  // Nothing: these are not the bytes of one.
  static std::optional<TrialInput> decode(std::string_view bytes);
};

}  // namespace nfsteer::plugin
