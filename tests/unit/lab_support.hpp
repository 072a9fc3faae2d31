// What the tests of the laboratory share.
#pragma once

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "core/policy_spec.hpp"
#include "lab/metrics.hpp"
#include "lab/simulation.hpp"

namespace nfsteer::lab {

inline core::Result<PolicyPtr> no_files(const core::PolicySpec& spec, const policy::BuildInput& /*input*/) {
  return core::usage_error(spec.name, "is a file");
}

inline Server server(const std::string& address, std::uint32_t weight = 1) {
  Server made;
  made.backend.address = *core::IpAddress::parse(address);
  made.backend.weight = weight;
  made.rtt = {Shape::constant, 0, 0};
  return made;
}

inline Endpoint at(const std::string& address) {
  return {*core::IpAddress::parse(address), 0};
}

// Servers 10.0.0.1 and on, of weight 1.
inline Scenario scenario_of(std::uint32_t servers) {
  Scenario scenario;
  for (std::uint32_t i = 1; i <= servers; ++i)
    scenario.servers.push_back(server("10.0.0." + std::to_string(i)));
  return scenario;
}

inline Change change(Nanoseconds when, Action action, const std::string& address) {
  Change made;
  made.at = when;
  made.action = action;
  made.backend = at(address);
  return made;
}

inline Report run(const Scenario& scenario, const std::string& policy = "weighted-random") {
  auto report = simulate(scenario, *core::parse_policy_spec(policy), no_files);
  EXPECT_TRUE(report) << policy;
  return report ? *std::move(report) : Report{};
}

inline double figure(const Report& report, std::string_view name) {
  const Metric* metric = find_metric(name);
  const auto value = metric == nullptr ? std::nullopt : metric->value(report);
  EXPECT_TRUE(value) << name;
  return value.value_or(-1);
}

}  // namespace nfsteer::lab
