// What the tests of the configuration share.
#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "config/config.hpp"

namespace nfsteer::config {

inline constexpr std::string_view kPolicies[] = {"weighted-random", "other"};

inline core::Result<Config> parse(const std::string& text) {
  return parse_yaml(text, "demo.yaml", kPolicies);
}

// For failure messages.
inline void PrintTo(const Config& config, std::ostream* out) {
  *out << '\n' << to_yaml(config);
}

// The error's line; what the configuration is instead, if there is no error.
template <typename T>
std::string error_line(const core::Result<T>& result) {
  return result ? "no error" : result.error().line();
}

}  // namespace nfsteer::config
