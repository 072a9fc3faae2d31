// The metrics of services and backends.
#include "api/metric_writer.hpp"
#include "api/metrics_sections.hpp"

namespace nfsteer::api {
namespace {

using control::BackendStatus;
using control::ServiceStatus;
using control::Status;

template <core::BackendState State>
MetricValue<BackendStatus> in_state() {
  return {core::to_string(State), [](const BackendStatus& it) { return metric_value(it.state == State); }};
}

void write_services_only(std::ostream& out, const Status& status) {
  using It = const ServiceStatus&;
  std::vector<Labelled<ServiceStatus>> services, described, shadowed, from_files;
  for (const ServiceStatus& each : status.services) {
    const core::Service& service = each.service;
    services.push_back({{{"service", service.name}}, &each});
    if (service.shadow) shadowed.push_back(services.back());
    if (each.policy_report) from_files.push_back(services.back());
    described.push_back({{{"service", service.name},
                          {"vip", core::endpoint_text(service.vip, service.port)},
                          {"protocol", std::string(core::to_string(service.protocol))},
                          {"mode", std::string(core::to_string(service.mode))},
                          {"policy", core::to_string(service.policy)}},
                         &each});
  }
  write_families<ServiceStatus>(
      out,
      {gauge<ServiceStatus>("nfsteer_service_info", "What the service is; always 1.",
                            [](It) { return 1.0; })},
      described);
  write_families<ServiceStatus>(
      out,
      {counter<ServiceStatus>("nfsteer_service_ladder_connections_total",
                              "New connections that the kernel's ladder of DNAT rules balanced.",
                              [](It it) { return metric_value(it.ladder); }),
       counter<ServiceStatus>("nfsteer_service_no_backend_connections_total",
                              "New connections for which the policy had no backend.",
                              [](It it) { return metric_value(it.no_backend); }),
       gauge<ServiceStatus>("nfsteer_service_panic",
                            "1 while too few backends are healthy, so that all of them are used.",
                            [](It it) { return metric_value(it.panic); }),
       gauge<ServiceStatus>("nfsteer_service_on_backup", "1 while the backup backends are used.",
                            [](It it) { return metric_value(it.on_backup); })},
      services);
  write_families<ServiceStatus>(
      out,
      {counter<ServiceStatus>("nfsteer_service_shadow_decisions_total",
                              "New flows that the shadow policy was asked about.",
                              [](It it) { return metric_value(it.shadow.decisions); }),
       counter<ServiceStatus>("nfsteer_service_shadow_differing_total",
                              "Of those, the shadow policy chose otherwise.",
                              [](It it) { return metric_value(it.shadow.differ); })},
      shadowed);
  write_families<ServiceStatus>(
      out,
      {gauge<ServiceStatus>("nfsteer_service_policy_set_aside",
                            "1 while weighted random decides in place of a policy from a file.",
                            [](It it) { return metric_value(it.policy_report->set_aside); }),
       counter<ServiceStatus>(
           "nfsteer_service_policy_overruns_total",
           "Decisions of a policy from a file that took too long, of those that were timed.",
           [](It it) { return metric_value(it.policy_report->overruns); }),
       {"nfsteer_service_policy_faults_total",
        "Wrong decisions of a policy from a file.",
        MetricType::Counter,
        "fault",
        {{"out_of_range", [](It it) { return metric_value(it.policy_report->out_of_range); }},
         {"weight_zero", [](It it) { return metric_value(it.policy_report->weight_zero); }},
         {"failed", [](It it) { return metric_value(it.policy_report->failed); }}}}},
      from_files);
}

std::vector<MetricRow<BackendStatus>> shadow_rows() {
  using It = const BackendStatus&;
  return {
      counter<BackendStatus>("nfsteer_backend_shadow_picks_total",
                             "New flows that the shadow policy would have given the backend.",
                             [](It it) { return metric_value(it.shadow.picks); }),
      counter<BackendStatus>("nfsteer_backend_shadow_gained_total", "Of those, went to another backend.",
                             [](It it) { return metric_value(it.shadow.gained); }),
      counter<BackendStatus>("nfsteer_backend_shadow_lost_total",
                             "New flows that went to the backend, and would not have by the shadow policy.",
                             [](It it) { return metric_value(it.shadow.lost); })};
}

std::vector<MetricRow<BackendStatus>> backend_rows() {
  using It = const BackendStatus&;
  using State = core::BackendState;
  return {
      gauge<BackendStatus>("nfsteer_backend_weight", "Share of new connections, as configured.",
                           [](It it) { return metric_value(it.backend.weight); }),
      gauge<BackendStatus>("nfsteer_backend_effective_weight",
                           "Share of new connections that the policy and the ladder go by now.",
                           [](It it) { return metric_value(it.effective_weight); }),
      gauge<BackendStatus>("nfsteer_backend_up",
                           "1 if the health checks call the backend good, or nothing is checked.",
                           [](It it) { return metric_value(it.health.health == core::Health::up); }),
      {"nfsteer_backend_state",
       "Where the backend is in its life: 1 for that state, 0 for the others.",
       MetricType::Gauge,
       "state",
       {in_state<State::active>(), in_state<State::filling>(), in_state<State::draining>(),
        in_state<State::standby>(), in_state<State::starting>(), in_state<State::down>(),
        in_state<State::maintenance>()}},
      counter<BackendStatus>("nfsteer_backend_picks_total", "New flows that the policy gave the backend.",
                             [](It it) { return metric_value(it.picks); }),
      counter<BackendStatus>("nfsteer_backend_seen_packets_total",
                             "Packets of the backend's flows that the engine saw.",
                             [](It it) { return metric_value(it.packets); }),
      counter<BackendStatus>("nfsteer_backend_seen_bytes_total",
                             "Bytes of the packets that the engine saw, from the IP header on.",
                             [](It it) { return metric_value(it.bytes); }),
      gauge<BackendStatus>("nfsteer_backend_handshake_seconds",
                           "Moving average of the backend's TCP handshakes, peak-sensitive; 0: not known.",
                           [](It it) { return it.live.handshake_us / 1e6; }),
      gauge<BackendStatus>("nfsteer_backend_connections_active", "Connections that are open, by conntrack.",
                           [](It it) { return metric_value(it.connections.active); }),
      counter<BackendStatus>("nfsteer_backend_connections_opened_total",
                             "Connections opened, by conntrack, whoever balanced them.",
                             [](It it) { return metric_value(it.connections.opened); }),
      counter<BackendStatus>("nfsteer_backend_connections_unanswered_total",
                             "TCP connections that the backend refused or did not answer in time.",
                             [](It it) { return metric_value(it.connections.unanswered); }),
      {"nfsteer_backend_conntrack_packets_total",
       "Packets of connections that are over, by conntrack's accounting; in: from clients, out: to clients.",
       MetricType::Counter,
       "direction",
       {{"in", [](It it) { return metric_value(it.connections.packets_in); }},
        {"out", [](It it) { return metric_value(it.connections.packets_out); }}}},
      {"nfsteer_backend_conntrack_bytes_total",
       "Bytes of connections that are over, by conntrack's accounting; in: from clients, out: to clients.",
       MetricType::Counter,
       "direction",
       {{"in", [](It it) { return metric_value(it.connections.bytes_in); }},
        {"out", [](It it) { return metric_value(it.connections.bytes_out); }}}}};
}

void write_backends(std::ostream& out, const Status& status) {
  using It = const BackendStatus&;
  std::vector<Labelled<BackendStatus>> backends, checked, shadowed;
  for (const ServiceStatus& each : status.services) {
    for (const BackendStatus& backend : each.backends) {
      const std::string name =
          core::endpoint_text(backend.backend.address, each.service.port_at(backend.backend));
      backends.push_back({{{"service", each.service.name}, {"backend", name}}, &backend});
      if (backend.health.checked) checked.push_back(backends.back());
      if (each.service.shadow) shadowed.push_back(backends.back());
    }
  }
  write_families(out, backend_rows(), backends);
  write_families(out, shadow_rows(), shadowed);
  write_families<BackendStatus>(out,
                                {{"nfsteer_backend_checks_total",
                                  "Health checks that have ended, where there are any.",
                                  MetricType::Counter,
                                  "result",
                                  {{"passed", [](It it) { return metric_value(it.health.checks_passed); }},
                                   {"failed", [](It it) { return metric_value(it.health.checks_failed); }}}}},
                                checked);
}

}  // namespace

void write_service_metrics(std::ostream& out, const Status& status) {
  write_services_only(out, status);
  write_backends(out, status);
}

}  // namespace nfsteer::api
