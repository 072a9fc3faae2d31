// What the tests of the configuration share.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "config/config.hpp"

namespace nfsteer::config {

inline core::Result<Config> parse(const std::string& text) {
  return parse_yaml(text, "demo.yaml");
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

// Two services as plain as can be, and one that has everything.
inline constexpr const char* kTwo = R"(
services:
  - {name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, "10.0.0.30:8080,weight=3", "10.0.0.30:8081"]}
  - {name: six, vip: "fd00::40", port: 53, protocol: udp, backends: ["[fd00::20]:5353", "fd00::30"]}
)";

inline constexpr const char* kFull = R"(
services:
  - name: web
    vip: 10.0.0.40
    port: 80
    on_backend_loss: reset
    slow_start: 30s
    affinity: {timeout: 3h, ipv4_prefix: 24}
    health: {type: http, port: 8080, path: /healthz, interval: 2s, rise: 1, passive: 4}
    backends: [{address: 10.0.0.20, state: drain, backup: true}, 10.0.0.30]
)";

inline std::vector<core::Service> services(const std::string& text = kTwo) {
  return parse(text).value().services;
}

}  // namespace nfsteer::config
