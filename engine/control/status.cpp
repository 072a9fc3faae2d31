#include "control/status.hpp"

#include <numeric>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "control/version.hpp"

namespace nfsteer::control {
namespace {

namespace json = boost::json;

double share_of(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

json::object json_of(const ConnectionStatus& status) {
  return {{"active", status.active},         {"opened", status.opened},
          {"unanswered", status.unanswered}, {"packets_in", status.packets_in},
          {"bytes_in", status.bytes_in},     {"packets_out", status.packets_out},
          {"bytes_out", status.bytes_out}};
}

json::object json_of(const HealthStatus& status) {
  return {{"status", core::to_string(status.health)},
          {"checked", status.checked},
          {"checks_passed", status.checks_passed},
          {"checks_failed", status.checks_failed},
          {"last_result", status.last_result}};
}

// What a policy from a file has done.
json::object json_of(const policy::GuardReport& report) {
  return {{"picks", report.picks},
          {"out_of_range", report.out_of_range},
          {"weight_zero", report.weight_zero},
          {"failed", report.failed},
          {"overruns", report.overruns},
          {"worst_ns", report.worst_ns},
          {"set_aside", report.set_aside},
          {"reason", report.reason}};
}

// What shares are shares of.
struct Sums {
  std::uint64_t picks = 0;
  std::uint64_t weights = 0;  // effective ones
  std::uint64_t shadow_decisions = 0;
};

Sums sums_of(const ServiceStatus& status) {
  Sums sums;
  sums.shadow_decisions = status.shadow.decisions;
  for (const BackendStatus& each : status.backends) {
    sums.picks += each.picks;
    sums.weights += each.effective_weight;
  }
  return sums;
}

// What the shadow policy would have done with the decisions that the policy made.
json::object json_of(const ShadowCounts& counts, std::uint64_t decisions) {
  return {{"picks", counts.picks},
          {"share", share_of(counts.picks, decisions)},
          {"gained", counts.gained},
          {"lost", counts.lost}};
}

json::object json_of(const core::Service& service, const BackendStatus& status, const Sums& sums) {
  json::object object{{"address", status.backend.address.to_string()},
                      {"port", service.port_at(status.backend)},
                      {"weight", status.backend.weight},
                      {"backup", status.backend.backup},
                      {"state", core::to_string(status.state)},
                      {"effective_weight", status.effective_weight},
                      {"picks", status.picks},
                      {"share", share_of(status.picks, sums.picks)},
                      {"expected_share", share_of(status.effective_weight, sums.weights)},
                      {"packets", status.packets},
                      {"bytes", status.bytes},
                      {"connections", json_of(status.connections)},
                      {"pending", status.live.pending},
                      {"handshake_us", status.live.handshake_us},
                      {"health", json_of(status.health)}};
  if (service.shadow) object.emplace("shadow", json_of(status.shadow, sums.shadow_decisions));
  return object;
}

json::object json_of(const ServiceStatus& status) {
  const core::Service& service = status.service;
  const Sums sums = sums_of(status);
  json::array backends;
  backends.reserve(status.backends.size());
  for (const BackendStatus& each : status.backends)
    backends.push_back(json_of(service, each, sums));
  json::object object{{"name", service.name},
                      {"vip", service.vip.to_string()},
                      {"protocol", core::to_string(service.protocol)},
                      {"port", service.port},
                      {"mode", core::to_string(service.mode)},
                      {"policy", core::to_string(service.policy)},
                      {"masquerade", service.masquerade},
                      {"on_no_backend", core::to_string(service.on_no_backend)},
                      {"picks", sums.picks},
                      {"ladder", status.ladder},
                      {"no_backend", status.no_backend},
                      {"panic", status.panic},
                      {"on_backup", status.on_backup},
                      {"backends", std::move(backends)}};
  if (status.policy_report) object.emplace("policy_report", json_of(*status.policy_report));
  if (service.shadow) {
    json::object shadow{{"policy", core::to_string(*service.shadow)},
                        {"decisions", status.shadow.decisions},
                        {"differ", status.shadow.differ},
                        {"no_backend", status.shadow.no_backend}};
    if (status.shadow_report) shadow.emplace("report", json_of(*status.shadow_report));
    object.emplace("shadow", std::move(shadow));
  }
  return object;
}

json::object json_of(const QueueStatus& status) {
  return {{"queue", status.queue},
          {"group", core::to_string(status.group)},
          {"worker", status.worker},
          {"waiting", status.waiting},
          {"dropped_full", status.dropped_full},
          {"dropped_user", status.dropped_user}};
}

json::object json_of(const InterfaceStatus& status) {
  return {{"name", status.name}, {"packets", status.packets}};
}

template <typename Items>
json::array array_of(const Items& items) {
  json::array array;
  array.reserve(items.size());
  for (const auto& item : items)
    array.push_back(json_of(item));
  return array;
}

}  // namespace

json::object to_json(const ServiceStatus& status, bool followed) {
  json::object object = json_of(status);
  object.erase("ladder");  // to count it, all rules have to be read
  object.emplace("followed", followed);
  return object;
}

json::object to_json(const ServiceStatus& status, std::size_t backend, bool followed) {
  json::object object = json_of(status.service, status.backends.at(backend), sums_of(status));
  object.emplace("followed", followed);
  return object;
}

json::value to_json(const Status& status) {
  json::array workers;
  for (std::size_t index = 0; index < status.workers.size(); ++index) {
    json::object worker{{"index", index}};
    for (std::size_t event = 0; event < core::kEvents; ++event)
      worker.emplace(core::kEventNames[event], status.workers[index].events[event]);
    worker.emplace("decision_ns", status.workers[index].decision_ns);
    workers.push_back(std::move(worker));
  }
  return json::object{
      {"version", kVersion},
      {"pid", status.pid},
      {"uptime_seconds", status.uptime_s},
      {"services", array_of(status.services)},
      {"workers", std::move(workers)},
      {"queues", array_of(status.queues)},
      {"interfaces", array_of(status.interfaces)},
      {"revision", status.revision},
      {"rules",
       {{"commits", status.rule_commits}, {"errors", status.rule_errors}, {"repairs", status.rule_repairs}}},
      {"conntrack",
       {{"followed", status.conntrack.followed},
        {"entries", status.conntrack.entries},
        {"entries_max", status.conntrack.entries_max},
        {"events", status.conntrack.events},
        {"overflows", status.conntrack.overflows},
        {"readings", status.conntrack.readings}}},
      {"reloads",
       {{"succeeded", status.reloads.succeeded},
        {"failed", status.reloads.failed},
        {"last_success", status.reloads.last_success_s}}}};
}

}  // namespace nfsteer::control
