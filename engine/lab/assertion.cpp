#include "lab/assertion.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "policy/catalogue.hpp"

namespace nfsteer::lab {
namespace {

using Op = Assertion::Op;

constexpr std::string_view kForm = "write METRIC<NUMBER or METRIC[POLICY]<NUMBER, with <, <=, > or >=";
constexpr std::size_t kShownMax = 100;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// On one line, whatever it holds.
std::string thing_of(std::string_view text) {
  std::string shown(text.substr(0, kShownMax));
  std::ranges::replace_if(
      shown, [](char each) { return static_cast<unsigned char>(each) < 0x20 || each == 0x7f; }, '?');
  return "--assert \"" + shown + "\"";
}

std::optional<double> number_in(std::string_view text, Metric::Unit unit) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number)) return {};
  const std::string_view suffix = trimmed({end, static_cast<std::size_t>(text.data() + text.size() - end)});
  if (suffix.empty()) return number;
  if (unit != Metric::Unit::milliseconds) return {};
  if (suffix == "us") return number / 1000;
  if (suffix == "ms") return number;
  if (suffix == "s") return number * 1000;
  return {};
}

std::string names_of_metrics() {
  std::vector<std::string_view> names;
  for (const Metric& each : metrics())
    names.push_back(each.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string_view symbol_of(Op op) {
  constexpr std::string_view kSymbols[] = {"<", "<=", ">", ">="};
  return kSymbols[static_cast<std::size_t>(op)];
}

bool holds(Op op, double value, double bound) {
  switch (op) {
    case Op::below:
      return value < bound;
    case Op::at_most:
      return value <= bound;
    case Op::above:
      return value > bound;
    case Op::at_least:
      return value >= bound;
  }
  return false;
}

// By what it was given as, its name, or its name's alias.
bool is_about(const Assertion& assertion, const core::PolicySpec& policy) {
  if (assertion.policy.empty() || assertion.policy == core::to_string(policy)) return true;
  const policy::PolicyInfo* info = policy::find(assertion.policy);
  return info != nullptr ? info->name == policy.name : assertion.policy == policy.name;
}

std::string with_unit(double value, Metric::Unit unit) {
  return fmt::format("{:.6g}{}", value, unit == Metric::Unit::milliseconds ? " ms" : "");
}

}  // namespace

core::Result<Assertion> parse_assertion(std::string_view text) {
  const auto fail = [&](std::string reason, std::string mend) {
    return core::usage_error(thing_of(text), std::move(reason), std::move(mend));
  };
  // A policy's options may hold anything but a bracket, so the comparison is sought behind it.
  const auto bracket = text.find('[');
  const auto close = bracket == text.npos ? text.npos : text.find(']', bracket);
  if (bracket != text.npos && close == text.npos) return fail("a bracket is not closed", std::string(kForm));
  const auto at = text.find_first_of("<>", close == text.npos ? 0 : close);
  if (at == text.npos) return fail("compares with nothing", std::string(kForm));

  Assertion assertion;
  assertion.text = text;
  const bool has_equals = at + 1 < text.size() && text[at + 1] == '=';
  assertion.op =
      text[at] == '<' ? (has_equals ? Op::at_most : Op::below) : (has_equals ? Op::at_least : Op::above);
  std::string_view left = trimmed(text.substr(0, at));
  if (bracket < at) {
    if (close + 1 != left.size() + static_cast<std::size_t>(left.data() - text.data()))
      return fail("something stands behind the bracket", std::string(kForm));
    assertion.policy = trimmed(text.substr(bracket + 1, close - bracket - 1));
    if (assertion.policy.empty()) return fail("the brackets name no policy", std::string(kForm));
    left = trimmed(text.substr(0, bracket));
  }
  assertion.metric = find_metric(left);
  if (assertion.metric == nullptr) return fail("there is no such metric", "there are " + names_of_metrics());
  const auto bound = number_in(trimmed(text.substr(at + (has_equals ? 2 : 1))), assertion.metric->unit);
  if (!bound)
    return fail("the bound is not a number", assertion.metric->unit == Metric::Unit::milliseconds
                                                 ? "write milliseconds, or a number with us, ms or s"
                                                 : "write one as in 1.05");
  assertion.bound = *bound;
  return assertion;
}

core::Result<void> check(const Assertion& assertion, std::span<const Report> reports) {
  bool is_checked = false;
  for (const Report& report : reports) {
    if (!is_about(assertion, report.policy)) continue;
    is_checked = true;
    const auto value = assertion.metric->value(report);
    if (!value)
      return core::usage_error(thing_of(assertion.text),
                               fmt::format("this run has no {}", assertion.metric->name),
                               "times need servers, disruption needs changes of weights");
    if (holds(assertion.op, *value, assertion.bound)) continue;
    const Metric::Unit unit = assertion.metric->unit;
    return core::system_error(thing_of(assertion.text),
                              fmt::format("does not hold: {} of {} is {}, not {} {}", assertion.metric->name,
                                          core::to_string(report.policy), with_unit(*value, unit),
                                          symbol_of(assertion.op), with_unit(assertion.bound, unit)));
  }
  if (!is_checked)
    return core::usage_error(thing_of(assertion.text), "the run has no such policy",
                             "name one of its --policy");
  return {};
}

}  // namespace nfsteer::lab
