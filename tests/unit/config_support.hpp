// What the tests of the configuration share.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

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

struct Case {
  std::string text;
  std::string error;
};

// Each text is refused, as the user's fault, with that line.
inline void expect_errors(const std::vector<Case>& cases) {
  for (const auto& [text, error] : cases) {
    const auto config = parse(text);
    EXPECT_EQ(error_line(config), error) << "for\n" << text;
    if (!config) {
      EXPECT_EQ(config.error().exit_code(), 2) << text;
    }
  }
}

// A file whose lines from the sixth on are fields of a service's second backend.
inline std::string backend(const std::string& fields) {
  return "services:\n  - vip: 10.0.0.40\n    port: 80\n    backends:\n      - 10.0.0.20\n      - " + fields +
         "\n";
}

// A file whose fourth line is a field of a service.
inline std::string service(const std::string& field) {
  return "services:\n  - vip: 10.0.0.40\n    backends: [10.0.0.20]\n    " + field + "\n";
}

// A file whose second line is a field of the engine.
inline std::string engine(const std::string& field) {
  return "engine:\n  " + field + "\nservices: []\n";
}

}  // namespace nfsteer::config
