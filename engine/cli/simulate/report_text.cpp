#include "cli/simulate/report_text.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "core/policy_spec.hpp"
#include "lab/metrics.hpp"

namespace nfsteer::cli::simulate {
namespace {

using Row = std::vector<std::string>;

constexpr std::size_t kBackendsShown = 24;
constexpr std::size_t kChangesShown = 24;

// The first column to the left, the others to the right.
std::string table_of(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line = fmt::format("{:<{}}", row[0], widths[0]);
    for (std::size_t i = 1; i < row.size(); ++i)
      line += fmt::format("  {:>{}}", row[i], widths[i]);
    text += line + '\n';
  }
  return text;
}

std::string milliseconds(double value) {
  return value >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

std::string shown(const lab::Metric& metric, const lab::Report& report) {
  const auto value = metric.value(report);
  if (!value) return "-";
  if (metric.unit == lab::Metric::Unit::count) return fmt::format("{:.0f}", *value);
  if (metric.unit == lab::Metric::Unit::milliseconds) return milliseconds(*value);
  return fmt::format("{:.4g}", *value);
}

std::string percent(double part) {
  return fmt::format("{:.2f}%", 100 * part);
}

double share(double part, double whole) {
  return whole == 0 ? 0 : part / whole;
}

// Metrics that say something of these outcomes.
std::vector<const lab::Metric*> metrics_of(std::span<const Outcome> outcomes) {
  std::vector<const lab::Metric*> shown;
  for (const std::string_view name :
       {"imbalance", "cv", "p_value", "mean", "p50", "p99", "p999", "wait_mean", "wait_p99", "peak_open",
        "moved", "optimum", "refused", "rejected", "unanswered"}) {
    const lab::Metric* metric = lab::find_metric(name);
    const bool is_loss = name == "refused" || name == "rejected" || name == "unanswered";
    const auto tells = [&](const Outcome& outcome) {
      const auto value = metric->value(outcome.report);
      return value && (!is_loss || *value > 0);
    };
    if (std::ranges::any_of(outcomes, tells)) shown.push_back(metric);
  }
  return shown;
}

std::string policies_table(std::span<const Outcome> outcomes) {
  const auto metrics = metrics_of(outcomes);
  Row heading{"policy"};
  for (const lab::Metric* metric : metrics) {
    const bool is_time = metric->unit == lab::Metric::Unit::milliseconds;
    heading.push_back(fmt::format("{}{}", metric->name, is_time ? " ms" : ""));
  }
  const bool has_speed = outcomes.front().speed.has_value();
  if (has_speed) heading.emplace_back("decisions/s");
  std::vector<Row> rows{heading};
  for (const Outcome& outcome : outcomes) {
    Row row{core::to_string(outcome.report.policy)};
    for (const lab::Metric* metric : metrics)
      row.push_back(shown(*metric, outcome.report));
    if (has_speed) row.push_back(fmt::format("{:.3g} M", outcome.speed->decisions_per_second / 1e6));
    rows.push_back(std::move(row));
  }
  return table_of(rows);
}

std::string backends_table(std::span<const Outcome> outcomes) {
  Row heading{"backend", "weight", "share by weight"};
  for (const Outcome& outcome : outcomes)
    heading.push_back(core::to_string(outcome.report.policy));
  std::vector<Row> rows{heading};
  const lab::Report& first = outcomes.front().report;
  for (std::size_t i = 0; i < std::min(first.backends.size(), kBackendsShown); ++i) {
    const lab::BackendResult& backend = first.backends[i];
    Row row{core::endpoint_text(backend.backend.address, backend.backend.port),
            std::to_string(backend.backend.weight),
            percent(share(backend.expected, static_cast<double>(first.decisions)))};
    for (const Outcome& outcome : outcomes) {
      const lab::Report& report = outcome.report;
      row.push_back(percent(
          share(static_cast<double>(report.backends[i].decisions), static_cast<double>(report.decisions))));
    }
    rows.push_back(std::move(row));
  }
  std::string text = table_of(rows);
  if (first.backends.size() > kBackendsShown)
    text += fmt::format("and {} more; --json shows all\n", first.backends.size() - kBackendsShown);
  return text;
}

// Every policy meets the same changes.
std::string changes_table(std::span<const Outcome> outcomes) {
  const lab::Report& first = outcomes.front().report;
  Row heading{"flows moved", "optimum"};
  for (const Outcome& outcome : outcomes)
    heading.push_back(core::to_string(outcome.report.policy));
  std::vector<Row> rows{heading};
  for (std::size_t i = 0; i < std::min(first.changes.size(), kChangesShown); ++i) {
    const lab::ChangeResult& change = first.changes[i];
    Row row{fmt::format("{:g} s  {}", static_cast<double>(change.at) / lab::kSecond, change.what),
            change.disruption ? percent(change.disruption->optimum) : "-"};
    for (const Outcome& outcome : outcomes) {
      const auto& disruption = outcome.report.changes[i].disruption;
      row.push_back(disruption ? percent(disruption->moved) : "-");
    }
    rows.push_back(std::move(row));
  }
  std::string text = table_of(rows);
  if (first.changes.size() > kChangesShown)
    text += fmt::format("and {} more; --json shows all\n", first.changes.size() - kChangesShown);
  return text;
}

}  // namespace

std::string scenario_text(const lab::Scenario& scenario) {
  std::string flows;
  if (scenario.recorded != nullptr) {
    flows = fmt::format("{} recorded flows", scenario.recorded->size());
  } else {
    const lab::Workload& load = scenario.workload;
    flows = fmt::format("{} arrivals at {:g}/s from {} clients", to_string(load.arrivals), load.rate,
                        load.clients);
  }
  if (scenario.decisions_only) return flows + ", decisions only";
  if (scenario.recorded != nullptr && scenario.recorded_work) return flows + " that last as they did";
  return flows + fmt::format(", {} service times of {:g} ms", to_string(scenario.workload.service_time.shape),
                             scenario.workload.service_time.mean / lab::kMillisecond);
}

std::string report_text(const lab::Scenario& scenario, std::span<const Outcome> outcomes) {
  const lab::Report& first = outcomes.front().report;
  std::string text = fmt::format("{}; {} flows, seed {}\n\n", scenario_text(scenario),
                                 first.decisions + first.refused, scenario.seed);
  text += policies_table(outcomes) + '\n' + backends_table(outcomes);
  if (!first.changes.empty()) text += '\n' + changes_table(outcomes);
  return text;
}

}  // namespace nfsteer::cli::simulate
