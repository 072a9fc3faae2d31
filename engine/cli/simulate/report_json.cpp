#include "cli/simulate/report_json.hpp"

#include <cmath>

#include <boost/json/array.hpp>

#include "cli/simulate/report_text.hpp"
#include "core/policy_spec.hpp"
#include "lab/metrics.hpp"

namespace nfsteer::cli::simulate {
namespace {

namespace json = boost::json;

json::value value_of(const std::optional<double>& number) {
  return number && std::isfinite(*number) ? json::value(*number) : json::value(nullptr);
}

json::value milliseconds_of(const lab::Histogram& times, double ns) {
  return times.count() == 0 ? json::value(nullptr) : json::value(ns / lab::kMillisecond);
}

json::object json_of(const lab::Report& report, const lab::BackendResult& backend) {
  const auto decisions = static_cast<double>(backend.decisions);
  const auto all = static_cast<double>(report.decisions);
  return {{"backend", core::endpoint_text(backend.backend.address, backend.backend.port)},
          {"weight", backend.backend.weight},
          {"decisions", backend.decisions},
          {"share", all == 0 ? 0 : decisions / all},
          {"expected_share", all == 0 ? 0 : backend.expected / all},
          {"ratio", value_of(lab::ratio_of(backend))},
          {"bytes", backend.bytes},
          {"answered", backend.answered},
          {"rejected", backend.rejected},
          {"unanswered", backend.unanswered},
          {"peak_open", backend.peak_open},
          {"busy", value_of(backend.busy)},
          {"mean_ms", milliseconds_of(backend.response, backend.response.mean())},
          {"p99_ms", milliseconds_of(backend.response, backend.response.quantile(0.99))}};
}

json::object json_of(const lab::ChangeResult& change) {
  json::object object{{"at_s", static_cast<double>(change.at) / lab::kSecond}, {"what", change.what}};
  object["moved"] = change.disruption ? json::value(change.disruption->moved) : json::value(nullptr);
  object["optimum"] = change.disruption ? json::value(change.disruption->optimum) : json::value(nullptr);
  return object;
}

json::object timeline_of(const lab::Report& report) {
  json::array slices;
  for (const auto& counts : report.timeline)
    slices.push_back(json::array(counts.begin(), counts.end()));
  return {{"slice_s", static_cast<double>(report.slice) / lab::kSecond}, {"decisions", std::move(slices)}};
}

json::object json_of(const Outcome& outcome) {
  const lab::Report& report = outcome.report;
  json::object metrics;
  for (const lab::Metric& metric : lab::metrics()) {
    const bool is_time = metric.unit == lab::Metric::Unit::milliseconds;
    metrics[std::string(metric.name) + (is_time ? "_ms" : "")] = value_of(metric.value(report));
  }
  json::array backends;
  for (const lab::BackendResult& each : report.backends)
    backends.push_back(json_of(report, each));
  json::array changes;
  for (const lab::ChangeResult& each : report.changes)
    changes.push_back(json_of(each));
  json::object object{{"policy", core::to_string(report.policy)},
                      {"metrics", std::move(metrics)},
                      {"backends", std::move(backends)},
                      {"changes", std::move(changes)},
                      {"timeline", timeline_of(report)}};
  if (outcome.speed)
    object["timing"] = {{"run_s", outcome.speed->run_s},
                        {"decisions_per_second", outcome.speed->decisions_per_second}};
  return object;
}

}  // namespace

json::object report_json(const lab::Scenario& scenario, std::span<const Outcome> outcomes) {
  json::array policies;
  for (const Outcome& each : outcomes)
    policies.push_back(json_of(each));
  return {{"scenario", scenario_text(scenario)}, {"seed", scenario.seed}, {"policies", std::move(policies)}};
}

}  // namespace nfsteer::cli::simulate
