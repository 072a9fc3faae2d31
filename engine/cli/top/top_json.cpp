#include "cli/top/top_json.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace nfsteer::cli::top {
namespace {

namespace json = boost::json;

json::value value_of(const std::optional<double>& number) {
  return number ? json::value(*number) : json::value(nullptr);
}

json::value known(bool followed, std::uint64_t count) {
  return followed ? json::value(count) : json::value(nullptr);
}

json::object json_of(const WorkerSample& worker, const WorkerRates& rates) {
  return {{"packets_per_second", value_of(rates.packets)},
          {"batch_mean", value_of(rates.batch_mean)},
          {"waiting", worker.waiting},
          {"dropped_full", worker.dropped_full},
          {"dropped_full_per_second", value_of(rates.dropped_full)},
          {"dropped_user", worker.dropped_user},
          {"dropped_user_per_second", value_of(rates.dropped_user)}};
}

json::object json_of(const BackendSample& backend, const BackendRates& rates, bool followed) {
  return {{"backend", backend.endpoint},
          {"state", backend.state},
          {"health", backend.health.empty() ? json::value(nullptr) : json::value(backend.health)},
          {"weight", backend.weight},
          {"effective_weight", backend.effective_weight},
          {"active", known(followed, backend.active)},
          {"new_per_second", value_of(rates.opened)},
          {"total", backend.opened},
          {"unanswered", known(followed, backend.unanswered)},
          {"share", value_of(rates.share)},
          {"expected_share", backend.expected_share}};
}

json::object json_of(const ServiceSample& service, const ServiceRates& rates, bool followed) {
  json::array backends;
  backends.reserve(service.backends.size());
  for (std::size_t i = 0; i < service.backends.size(); ++i)
    backends.push_back(json_of(service.backends[i], rates.backends[i], followed));
  return {{"name", service.name},
          {"vip", service.vip},
          {"protocol", service.protocol},
          {"mode", service.mode},
          {"policy", service.policy},
          {"panic", service.panic},
          {"on_backup", service.on_backup},
          {"new_per_second", value_of(rates.opened)},
          {"no_backend_per_second", value_of(rates.no_backend)},
          {"backends", std::move(backends)}};
}

}  // namespace

json::value to_json(const Sample& sample, const Rates& rates) {
  json::array workers;
  for (std::size_t i = 0; i < sample.workers.size(); ++i)
    workers.push_back(json_of(sample.workers[i], rates.workers[i]));
  json::array services;
  services.reserve(sample.services.size());
  for (std::size_t i = 0; i < sample.services.size(); ++i)
    services.push_back(json_of(sample.services[i], rates.services[i], sample.followed));
  return json::object{{"version", sample.version},
                      {"pid", sample.pid},
                      {"uptime_seconds", sample.uptime_s},
                      {"interval_seconds", value_of(rates.interval_s)},
                      {"revision", sample.revision},
                      {"rule_commits", sample.rule_commits},
                      {"rule_errors", sample.rule_errors},
                      {"new_per_second", value_of(rates.opened)},
                      {"packets_per_second", value_of(rates.packets)},
                      {"conntrack",
                       {{"followed", sample.followed},
                        {"entries", sample.conntrack_entries},
                        {"entries_max", sample.conntrack_max}}},
                      {"workers", std::move(workers)},
                      {"services", std::move(services)}};
}

}  // namespace nfsteer::cli::top
