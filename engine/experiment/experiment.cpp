#include "experiment/experiment.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "config/places.hpp"
#include "config/text_file.hpp"
#include "experiment/capture_file.hpp"
#include "experiment/record_file.hpp"
#include "experiment/scenario_reader.hpp"

namespace nfsteer::experiment {
namespace {

using config::RawValue;
using core::Result;

constexpr const char* kLeast = "write at least `backends: 2`";

Result<RawValue> read_scenario_file(const std::string& path) {
  if (path.empty()) {
    RawValue nothing;
    nothing.kind = RawValue::Kind::map;
    nothing.flag = "command line";
    return nothing;
  }
  const auto text = config::read_text_file(path);
  if (!text) return tl::unexpected(text.error());
  return read_values(*text, path, kLeast);
}

bool has_work(const RawValue& document) {
  const RawValue* workload = document.find("workload");
  return workload != nullptr && workload->find("service_time") != nullptr;
}

// Replayed flows have an end of their own, unless the user wants fewer.
bool has_flow_limit(const RawValue& document) {
  const RawValue* workload = document.find("workload");
  return workload != nullptr && workload->find("flows") != nullptr;
}

Result<std::size_t> service_in(const Recording& recording, const Flags& flags) {
  const auto& services = recording.header.services;
  std::vector<std::string_view> names;
  for (const core::Service& each : services)
    names.push_back(each.name);
  if (flags.service.empty()) {
    if (services.size() == 1) return std::size_t{0};
    return core::usage_error(flags.record_file, fmt::format("has {} services", services.size()),
                             services.empty() ? "record an engine that has one"
                                              : "name one with --service: " + config::listed(names, "or"));
  }
  const auto found = std::ranges::find(names, flags.service);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  return core::usage_error("--service", config::quoted(flags.service) + " is not in the recording",
                           "it has " + config::listed(names, "and"));
}

// The backends as they were recorded, each with its mean handshake time, and no limit of their own: how long
// flows lasted is in the recording.
std::vector<lab::Server> servers_of(const Recording& recording, std::size_t service,
                                    const lab::Server& base) {
  struct Handshakes {
    double sum = 0;
    double count = 0;
  };
  std::map<lab::Endpoint, Handshakes> handshakes;
  for (const FlowRecord& each : recording.records) {
    if (each.service != service || each.handshake_us == 0) continue;
    Handshakes& seen = handshakes[each.backend];
    seen.sum += each.handshake_us;
    ++seen.count;
  }
  std::vector<lab::Server> servers;
  const core::Service& recorded = recording.header.services[service];
  for (const core::Backend& backend : recorded.backends) {
    lab::Server& server = servers.emplace_back(base);
    server.backend = backend;
    server.concurrency = 0;
    // Records name the port that connections arrive at.
    const auto seen = handshakes.find({backend.address, recorded.port_at(backend)});
    if (seen != handshakes.end())
      server.rtt = {lab::Shape::constant, seen->second.sum / seen->second.count * lab::kMicrosecond, 0};
  }
  return servers;
}

Result<void> use_recording(const Flags& flags, Document& document, Experiment& experiment) {
  const auto recording = read_recording(flags.record_file);
  if (!recording) return tl::unexpected(recording.error());
  const auto service = service_in(*recording, flags);
  if (!service) return tl::unexpected(service.error());
  if (recording->is_cut) experiment.notes.push_back(flags.record_file + " ends inside a record");
  lab::Scenario& scenario = document.scenario;
  if (scenario.servers.empty()) {
    scenario.servers = servers_of(*recording, *service, document.server);
    const core::Service& recorded = recording->header.services[*service];
    scenario.vip = recorded.vip;
    scenario.port = recorded.port;
    if (recorded.protocol != core::Protocol::any) scenario.protocol = recorded.protocol;
  }
  auto flows = std::make_shared<std::vector<lab::Flow>>();
  for (const FlowRecord& each : recording->records)
    if (each.service == *service)
      flows->push_back({each.start_ns, each.key, each.duration_us * 1000, each.bytes_in + each.bytes_out});
  std::ranges::stable_sort(*flows, {}, &lab::Flow::start);
  scenario.recorded = std::move(flows);
  return {};
}

Result<void> use_capture(const Flags& flags, const lab::Scenario& given, bool has_vip, Document& document,
                         Experiment& experiment) {
  auto capture = read_capture(flags.pcap_file, has_vip ? std::optional(given.vip) : std::nullopt);
  if (!capture) return tl::unexpected(capture.error());
  if (capture->is_cut) experiment.notes.push_back(flags.pcap_file + " ends inside a packet");
  if (capture->flows.empty())
    return core::usage_error(
        flags.pcap_file, "has no flow" + (has_vip ? " to " + given.vip.to_string() : std::string()),
        has_vip ? "give another --vip, or none for all destinations" : "give a capture of IP packets");
  document.scenario.recorded = std::make_shared<std::vector<lab::Flow>>(std::move(capture->flows));
  return {};
}

Result<void> use_flows(const Flags& flags, const RawValue& raw, Document& document, Experiment& experiment) {
  if (flags.pcap_file.empty() && flags.record_file.empty()) return {};
  if (!flags.pcap_file.empty()) {
    if (auto used = use_capture(flags, document.scenario, raw.find("vip") != nullptr, document, experiment);
        !used)
      return used;
  } else {
    if (auto used = use_recording(flags, document, experiment); !used) return used;
    document.scenario.recorded_work = !has_work(raw);
  }
  if (!has_flow_limit(raw)) document.scenario.workload.flows = kFlowsMax;
  return {};
}

// All but the flows, which come from elsewhere, and the churn.
Result<Experiment> finish(const RawValue& raw, const Flags& flags) {
  auto document = read_document(raw, flags.scenario_file);
  if (!document) return tl::unexpected(document.error());
  Experiment experiment;
  if (auto used = use_flows(flags, raw, *document, experiment); !used) return tl::unexpected(used.error());
  lab::Scenario& scenario = document->scenario;
  if (scenario.servers.empty())
    return core::usage_error(flags.scenario_file.empty() ? "--backend" : flags.scenario_file,
                             "no backend is given",
                             "give backends in the file, --backend ADDRESS, or --servers N");
  const config::Place place(raw, flags.scenario_file);
  if (flags.churn_file.empty()) {
    if (auto read = read_churn(place, document->server, scenario); !read) return tl::unexpected(read.error());
  } else {
    const auto text = config::read_text_file(flags.churn_file);
    if (!text) return tl::unexpected(text.error());
    if (auto read = read_churn_script(*text, flags.churn_file, document->server, scenario); !read)
      return tl::unexpected(read.error());
  }
  experiment.scenario = std::move(scenario);
  experiment.policies = std::move(document->policies);
  return experiment;
}

}  // namespace

Result<Experiment> load(const Flags& flags) {
  auto raw = read_scenario_file(flags.scenario_file);
  if (!raw) return tl::unexpected(raw.error());
  if (raw->kind == RawValue::Kind::map) apply_flags(flags, *raw);
  return finish(*raw, flags);
}

Result<Experiment> parse_scenario(const std::string& text, const std::string& file) {
  const auto raw = read_values(text, file, kLeast);
  if (!raw) return tl::unexpected(raw.error());
  Flags flags;
  flags.scenario_file = file;
  return finish(*raw, flags);
}

}  // namespace nfsteer::experiment
