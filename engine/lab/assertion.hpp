// What a run must have shown, in the language of --assert:
//
//   METRIC[POLICY] OP NUMBER     imbalance<1.05    p99[power-of-two-choices] <= 20ms
//
// OP is <, <=, > or >=. Without [POLICY] it holds for every policy of the run. POLICY is as it was given,
// options included, or its bare name. Times are in milliseconds, or have a unit: us, ms, s.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "lab/metrics.hpp"
#include "lab/report.hpp"

namespace nfsteer::lab {

struct Assertion {
  enum class Op : std::uint8_t { below, at_most, above, at_least };

  std::string text;  // as given
  const Metric* metric = nullptr;
  std::string policy;  // empty: every one
  Op op = Op::below;
  double bound = 0;
};

// Errors (usage): no such metric, no such form.
core::Result<Assertion> parse_assertion(std::string_view text);

// Errors: what does not hold (system), naming the policy, the value and the bound; a policy or a figure that
// the run does not have (usage).
core::Result<void> check(const Assertion& assertion, std::span<const Report> reports);

}  // namespace nfsteer::lab
