#include "simulate.hpp"

#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "bound.hpp"
#include "experiment/experiment.hpp"
#include "lab/metrics.hpp"
#include "lab/simulation.hpp"
#include "plugin/loader.hpp"
#include "policy/catalogue.hpp"
#include "values.hpp"

namespace nfsteer::python {
namespace {

namespace py = pybind11;
using core::PolicySpec;

constexpr double kSecond = lab::kSecond;

experiment::Experiment load(const std::optional<std::string>& text, const std::string& file) {
  experiment::Flags flags;
  flags.scenario_file = file;
  auto loaded = text ? experiment::parse_scenario(*text, "scenario") : experiment::load(flags);
  if (!loaded) throw PolicyError(loaded.error().line());
  return *std::move(loaded);
}

std::vector<PolicySpec> specs_of(const std::vector<std::string>& policies) {
  std::vector<PolicySpec> specs;
  for (const std::string& text : policies) {
    auto spec = core::parse_policy_spec(text);
    if (!spec) throw PolicyError(fmt::format("policy {}: has an option without a value", text));
    auto checked = policy::check(*std::move(spec));
    if (!checked)
      throw PolicyError(fmt::format("policy {}: {}; {}", text, checked.error().reason, checked.error().mend));
    specs.push_back(*std::move(checked));
  }
  return specs;
}

py::dict dict_of(const lab::BackendResult& result) {
  py::dict made;
  made["address"] = result.backend.address.to_string();
  made["port"] = result.backend.port;
  made["weight"] = result.backend.weight;
  made["decisions"] = result.decisions;
  made["expected"] = result.expected;
  made["answered"] = result.answered;
  made["rejected"] = result.rejected;
  made["unanswered"] = result.unanswered;
  made["peak_open"] = result.peak_open;
  made["busy"] = result.busy;
  made["p99_s"] = result.response.quantile(0.99) / kSecond;
  return made;
}

py::dict dict_of(const lab::ChangeResult& change) {
  py::dict made;
  made["at_s"] = static_cast<double>(change.at) / kSecond;
  made["what"] = change.what;
  made["moved"] = change.disruption ? py::object(py::float_(change.disruption->moved)) : py::none();
  made["optimum"] = change.disruption ? py::object(py::float_(change.disruption->optimum)) : py::none();
  return made;
}

template <typename Items>
py::list list_of(const Items& items) {
  py::list made;
  for (const auto& each : items)
    made.append(dict_of(each));
  return made;
}

py::dict dict_of(const lab::Report& report) {
  py::dict metrics;
  for (const lab::Metric& each : lab::metrics())
    metrics[py::str(std::string(each.name))] = each.value(report);
  py::dict made;
  made["policy"] = core::to_string(report.policy);
  made["metrics"] = metrics;
  made["backends"] = list_of(report.backends);
  made["changes"] = list_of(report.changes);
  return made;
}

py::list simulate(const std::optional<std::string>& text, const std::string& file,
                  const std::vector<std::string>& policies, const py::dict& objects) {
  OwnPolicies own;
  own.add(objects);
  const experiment::Experiment experiment = load(text, file);
  const lab::FileLoader load_file = [&own](const PolicySpec& spec, const policy::BuildInput& input) {
    auto policy = own.build(spec, input);
    return policy && *policy == nullptr ? plugin::load_policy(spec, input) : policy;
  };
  std::vector<lab::Report> reports;
  {
    const py::gil_scoped_release unlocked;
    for (const PolicySpec& each : policies.empty() ? experiment.policies : specs_of(policies)) {
      auto report = lab::simulate(experiment.scenario, each, load_file);
      if (!report) throw PolicyError(report.error().line());
      reports.push_back(*std::move(report));
    }
  }
  py::list made;
  for (const lab::Report& each : reports)
    made.append(dict_of(each));
  return made;
}

}  // namespace

void add_simulate(py::module_& module) {
  using namespace py::literals;
  module.def("simulate", &simulate, "text"_a, "file"_a, "policies"_a, "objects"_a);
}

}  // namespace nfsteer::python
