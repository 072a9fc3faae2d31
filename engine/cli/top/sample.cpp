#include "cli/top/sample.hpp"

#include <exception>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace nfsteer::cli::top {
namespace {

namespace json = boost::json;

// These throw where a field is missing or of another type; read_sample() catches.
std::string text(const json::object& object, std::string_view key) {
  std::string copy(object.at(key).as_string());
  for (char& each : copy)
    if (each < ' ' || each > '~') each = '?';
  return copy;
}
std::uint64_t number(const json::object& object, std::string_view key) {
  return object.at(key).to_number<std::uint64_t>();
}
double fraction(const json::object& object, std::string_view key) {
  return object.at(key).to_number<double>();
}

std::string endpoint(const std::string& address, std::uint64_t port) {
  if (port == 0) return address;
  const bool v6 = address.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address, v6 ? "]" : "", port);
}

BackendSample read_backend(const json::object& object, bool followed) {
  BackendSample backend;
  backend.endpoint = endpoint(text(object, "address"), number(object, "port"));
  backend.state = text(object, "state");
  const json::object& health = object.at("health").as_object();
  if (health.at("checked").as_bool()) backend.health = text(health, "status");
  backend.last_check = text(health, "last_result");
  backend.weight = number(object, "weight");
  backend.effective_weight = number(object, "effective_weight");
  backend.expected_share = fraction(object, "expected_share");
  const json::object& connections = object.at("connections").as_object();
  backend.opened = followed ? number(connections, "opened") : number(object, "picks");
  backend.active = number(connections, "active");
  backend.unanswered = number(connections, "unanswered");
  return backend;
}

ServiceSample read_service(const json::object& object, bool followed) {
  ServiceSample service;
  service.name = text(object, "name");
  service.vip = endpoint(text(object, "vip"), number(object, "port"));
  service.protocol = text(object, "protocol");
  service.mode = text(object, "mode");
  service.policy = text(object, "policy");
  service.panic = object.at("panic").as_bool();
  service.on_backup = object.at("on_backup").as_bool();
  service.unassigned = followed ? 0 : number(object, "ladder");
  service.no_backend = number(object, "no_backend");
  const json::array& backends = object.at("backends").as_array();
  service.backends.reserve(backends.size());
  for (const json::value& each : backends)
    service.backends.push_back(read_backend(each.as_object(), followed));
  return service;
}

std::vector<WorkerSample> read_workers(const json::object& root) {
  std::vector<WorkerSample> workers;
  for (const json::value& each : root.at("workers").as_array()) {
    WorkerSample& worker = workers.emplace_back();
    worker.packets = number(each.as_object(), "packets");
    worker.batches = number(each.as_object(), "batches");
  }
  for (const json::value& each : root.at("queues").as_array()) {
    const json::object& queue = each.as_object();
    WorkerSample& worker = workers.at(number(queue, "worker"));
    worker.waiting += number(queue, "waiting");
    worker.dropped_full += number(queue, "dropped_full");
    worker.dropped_user += number(queue, "dropped_user");
  }
  return workers;
}

}  // namespace

core::Result<Sample> read_sample(const json::value& status) {
  Sample sample;
  try {
    const json::object& root = status.as_object();
    sample.version = text(root, "version");
    sample.pid = number(root, "pid");
    sample.uptime_s = fraction(root, "uptime_seconds");
    sample.revision = number(root, "revision");
    const json::object& rules = root.at("rules").as_object();
    sample.rule_commits = number(rules, "commits");
    sample.rule_errors = number(rules, "errors");
    const json::object& conntrack = root.at("conntrack").as_object();
    sample.followed = conntrack.at("followed").as_bool();
    sample.conntrack_entries = number(conntrack, "entries");
    sample.conntrack_max = number(conntrack, "entries_max");
    sample.workers = read_workers(root);
    const json::array& services = root.at("services").as_array();
    sample.services.reserve(services.size());
    for (const json::value& each : services)
      sample.services.push_back(read_service(each.as_object(), sample.followed));
  } catch (const std::exception&) {  // Boost.JSON's way to say that a field is missing or of another type
    return core::system_error("status", "the engine's answer is not one this version reads",
                              "use the engine's own version");
  }
  return sample;
}

}  // namespace nfsteer::cli::top
