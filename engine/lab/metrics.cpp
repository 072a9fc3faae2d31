#include "lab/metrics.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace nfsteer::lab {
namespace {

using Value = std::optional<double>;
using Unit = Metric::Unit;

double milliseconds(double ns) {
  return ns / static_cast<double>(kMillisecond);
}

Value mean_of(const Histogram& times) {
  return times.count() == 0 ? Value() : milliseconds(times.mean());
}

Value quantile_of(const Histogram& times, double q) {
  return times.count() == 0 ? Value() : milliseconds(times.quantile(q));
}

Value greatest_ratio(const Report& report) {
  Value greatest;
  for (const BackendResult& each : report.backends)
    if (const auto ratio = ratio_of(each)) greatest = std::max(greatest.value_or(0), *ratio);
  return greatest;
}

Value variation(const Report& report) {
  double count = 0;
  double sum = 0;
  double squares = 0;
  for (const BackendResult& each : report.backends) {
    const auto ratio = ratio_of(each);
    if (!ratio) continue;
    ++count;
    sum += *ratio;
    squares += *ratio * *ratio;
  }
  if (sum == 0) return {};
  const double mean = sum / count;
  return std::sqrt(std::max(0.0, squares / count - mean * mean)) / mean;
}

template <typename Of>
Value mean_over_changes(const Report& report, Of of) {
  double count = 0;
  double sum = 0;
  for (const ChangeResult& each : report.changes) {
    if (!each.disruption) continue;
    ++count;
    sum += of(*each.disruption);
  }
  return count == 0 ? Value() : sum / count;
}

template <std::uint64_t BackendResult::*member>
Value total(const Report& report) {
  std::uint64_t sum = 0;
  for (const BackendResult& each : report.backends)
    sum += each.*member;
  return static_cast<double>(sum);
}

Value greatest_peak(const Report& report) {
  std::uint32_t peak = 0;
  for (const BackendResult& each : report.backends)
    peak = std::max(peak, each.peak_open);
  return peak;
}

constexpr std::array kMetrics{
    Metric{"decisions", Unit::count, "flows that got a backend",
           [](const Report& r) { return Value(static_cast<double>(r.decisions)); }},
    Metric{"refused", Unit::count, "flows for which the policy had no backend",
           [](const Report& r) { return Value(static_cast<double>(r.refused)); }},
    Metric{"imbalance", Unit::number, "greatest ratio of a backend's flows to its share by weight",
           greatest_ratio},
    Metric{"cv", Unit::number, "coefficient of variation of these ratios", variation},
    Metric{"chi_square", Unit::number, "of the flows against the weights",
           [](const Report& r) { return Value(r.chi_square.value); }},
    Metric{"p_value", Unit::number, "probability of such a chi-square by chance",
           [](const Report& r) { return Value(r.chi_square.p_value()); }},
    Metric{"mean", Unit::milliseconds, "mean response time",
           [](const Report& r) { return mean_of(r.response); }},
    Metric{"p50", Unit::milliseconds, "median response time",
           [](const Report& r) { return quantile_of(r.response, 0.5); }},
    Metric{"p99", Unit::milliseconds, "response time that 99 % do not exceed",
           [](const Report& r) { return quantile_of(r.response, 0.99); }},
    Metric{"p999", Unit::milliseconds, "response time that 99.9 % do not exceed",
           [](const Report& r) { return quantile_of(r.response, 0.999); }},
    Metric{"max", Unit::milliseconds, "longest response time",
           [](const Report& r) { return quantile_of(r.response, 1); }},
    Metric{"wait_mean", Unit::milliseconds, "mean time in a server's queue",
           [](const Report& r) { return mean_of(r.waiting); }},
    Metric{"wait_p50", Unit::milliseconds, "median time in a server's queue",
           [](const Report& r) { return quantile_of(r.waiting, 0.5); }},
    Metric{"wait_p99", Unit::milliseconds, "time in a queue that 99 % do not exceed",
           [](const Report& r) { return quantile_of(r.waiting, 0.99); }},
    Metric{"wait_p999", Unit::milliseconds, "time in a queue that 99.9 % do not exceed",
           [](const Report& r) { return quantile_of(r.waiting, 0.999); }},
    Metric{"peak_open", Unit::count, "most connections of one backend at a time", greatest_peak},
    Metric{"rejected", Unit::count, "flows that met a full queue", total<&BackendResult::rejected>},
    Metric{"unanswered", Unit::count, "flows whose server failed", total<&BackendResult::unanswered>},
    Metric{"moved", Unit::number, "share of the probe flows that a change moves, mean over the changes",
           [](const Report& r) { return mean_over_changes(r, [](const Disruption& d) { return d.moved; }); }},
    Metric{
        "optimum", Unit::number, "share that must move, mean over the changes",
        [](const Report& r) { return mean_over_changes(r, [](const Disruption& d) { return d.optimum; }); }},
    Metric{"disruption", Unit::number, "moved less optimum",
           [](const Report& r) {
             return mean_over_changes(r, [](const Disruption& d) { return d.moved - d.optimum; });
           }},
    Metric{"builds", Unit::count, "times that the policy was built",
           [](const Report& r) { return Value(static_cast<double>(r.builds)); }},
};

}  // namespace

std::span<const Metric> metrics() {
  return kMetrics;
}

const Metric* find_metric(std::string_view name) {
  const auto found = std::ranges::find(kMetrics, name, &Metric::name);
  return found == kMetrics.end() ? nullptr : &*found;
}

std::optional<double> ratio_of(const BackendResult& backend) {
  if (backend.expected == 0) return {};
  return static_cast<double>(backend.decisions) / backend.expected;
}

}  // namespace nfsteer::lab
