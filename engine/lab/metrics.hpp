// The figures of a report that go by a name: in tables, in JSON, and in assertions. README.md has their
// formulas.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lab/report.hpp"

namespace nfsteer::lab {

struct Metric {
  enum class Unit : std::uint8_t { count, number, milliseconds };

  std::string_view name;
  Unit unit;
  std::string_view summary;
  // Nothing: this run has no such figure.
  std::optional<double> (*value)(const Report& report);
};

std::span<const Metric> metrics();
const Metric* find_metric(std::string_view name);  // null: there is none

// A backend's decisions against those that its weight would have; nothing if it should have none.
std::optional<double> ratio_of(const BackendResult& backend);

}  // namespace nfsteer::lab
