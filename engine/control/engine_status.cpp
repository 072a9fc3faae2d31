// Engine::status(): gathers what the workers, the kernel's queues and the rules have counted.
#include <unistd.h>

#include <algorithm>
#include <map>

#include "control/engine.hpp"
#include "iptc/counters.hpp"
#include "netlink/queue_stats.hpp"
#include "policy/catalogue.hpp"
#include "process/log.hpp"
#include "tracking/conntrack_use.hpp"

namespace nfsteer::control {
namespace {

using Workers = std::vector<std::unique_ptr<Worker>>;

BackendStatus backend_counts(const Workers& workers, std::uint32_t slot) {
  BackendStatus status;
  for (const auto& worker : workers) {
    const core::BackendCounters& counters = worker->counters().backends[slot];
    status.picks += counters.picks.value();
    status.packets += counters.packets.value();
    status.bytes += counters.bytes.value();
  }
  return status;
}

ConnectionStatus connection_status(const tracking::Totals& totals) {
  return {.active = totals.active,
          .opened = totals.opened,
          .unanswered = totals.unanswered,
          .packets_in = totals.packets_in,
          .bytes_in = totals.bytes_in,
          .packets_out = totals.packets_out,
          .bytes_out = totals.bytes_out};
}

LiveStatus live_status(const core::LiveBackend& live) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  return {.pending = live.pending(), .handshake_us = live.latency_us(static_cast<std::uint64_t>(now))};
}

HealthStatus health_status(const health::Report& report) {
  return {.health = report.health,
          .checked = report.checked,
          .checks_passed = report.checks_passed,
          .checks_failed = report.checks_failed,
          .last_result = report.last_result};
}

std::vector<QueueStatus> queue_status(const core::QueueLayout& layout) {
  std::vector<QueueStatus> queues;
  const auto kernel = netlink::read_queue_stats();
  if (!kernel) {
    process::log_limited(spdlog::level::warn, "status lacks the kernel's queue counters: {}",
                         kernel.error().line());
    return queues;
  }
  for (const netlink::QueueStats& each : *kernel) {
    if (!layout.contains(each.queue)) continue;
    const core::QueueGroup group = layout.group_of(each.queue);
    queues.push_back({each.queue, group, static_cast<unsigned>(each.queue - layout.first_of(group)),
                      each.waiting, each.dropped_full, each.dropped_user});
  }
  return queues;
}

std::vector<InterfaceStatus> interface_status(const Workers& workers, const netlink::InterfaceTable& names) {
  std::map<std::uint32_t, std::uint64_t> packets;  // by interface index
  std::uint64_t others = 0;
  for (const auto& worker : workers) {
    worker->counters().interfaces.for_each(
        [&](std::uint32_t index, std::uint64_t count) { packets[index] += count; });
    others += worker->counters().interfaces.others();
  }
  std::vector<InterfaceStatus> interfaces;
  for (const auto& [index, count] : packets)
    interfaces.push_back({index == 0 ? "local" : names.name(index), count});
  if (others != 0) interfaces.push_back({"others", others});
  return interfaces;
}

}  // namespace

BackendStatus Engine::backend_status(const core::Service& service, const core::Availability& availability,
                                     std::size_t index) {
  const core::BackendKey key = core::key_of(service, service.backends[index]);
  const std::uint32_t slot = backend_slots_.hold(key);
  BackendStatus status = backend_counts(workers_, slot);
  status.backend = service.backends[index];
  status.state = availability.states[index];
  status.effective_weight = availability.backends[index].weight;
  if (tracker_) {
    status.connections = connection_status(tracker_->totals(slot));
    status.live = live_status(tracker_->live(slot));
  }
  if (service.shadow) status.shadow = shadows_.since(slot, shadow_counts(slot));
  status.health = health_status(monitor_.report(key));
  return status;
}

ShadowTotals Engine::shadow_totals(std::uint32_t service_slot) const {
  ShadowTotals totals;
  for (const auto& worker : workers_) {
    const core::ServiceCounters& counters = worker->counters().services[service_slot];
    totals.decisions += counters.shadow_decisions.value();
    totals.differ += counters.shadow_differ.value();
    totals.no_backend += counters.shadow_no_backend.value();
  }
  return totals;
}

ShadowCounts Engine::shadow_counts(std::uint32_t backend_slot) const {
  ShadowCounts counts;
  for (const auto& worker : workers_) {
    const core::BackendCounters& counters = worker->counters().backends[backend_slot];
    counts.picks += counters.shadow_picks.value();
    counts.gained += counters.shadow_gained.value();
    counts.lost += counters.shadow_lost.value();
  }
  return counts;
}

ServiceStatus Engine::service_status(std::size_t index) {
  const core::Service& service = services_[index];
  const core::Availability& availability = availability_[index];
  ServiceStatus status;
  status.service = service;
  for (std::size_t backend = 0; backend < service.backends.size(); ++backend)
    status.backends.push_back(backend_status(service, availability, backend));
  const std::uint32_t slot = service_slots_.hold(service.name);
  for (const auto& worker : workers_)
    status.no_backend += worker->counters().services[slot].no_backend.value();
  if (service.shadow) status.shadow = shadows_.since(slot, shadow_totals(slot));
  status.policy_report = policies_.policy_report(service.name);
  status.shadow_report = policies_.shadow_report(service.name);
  status.panic = availability.panic;
  status.on_backup = availability.on_backup;
  return status;
}

std::optional<std::uint32_t> Engine::certain_choice(std::string_view service,
                                                    const core::FlowKey& flow) const {
  for (const core::SteeredService& steered : published_.current().services()) {
    if (steered.service.name != service) continue;
    const policy::PolicyInfo* info = policy::find(steered.service.policy.name);
    if (info == nullptr || !info->contract.by_flow || steered.picker->uses_live()) return std::nullopt;
    core::Random random(0);
    core::PickContext context{random};
    return steered.picker->pick(flow, context);
  }
  return std::nullopt;
}

ConntrackStatus Engine::conntrack_status() const {
  const tracking::ConntrackUse use = tracking::conntrack_use();
  ConntrackStatus status{
      .followed = tracker_ != nullptr, .entries = use.entries, .entries_max = use.entries_max};
  if (!tracker_) return status;
  const tracking::Tracker::Stats heard = tracker_->stats();
  status.events = heard.events;
  status.overflows = heard.overflows;
  status.readings = heard.readings;
  return status;
}

Status Engine::status() {
  Status status;
  status.pid = getpid();
  status.uptime_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  status.rule_commits = rules_.commits();
  status.rule_errors = rule_errors_;
  status.rule_repairs = rule_repairs_;
  status.revision = revision_;
  status.reloads = reloads_;
  status.conntrack = conntrack_status();

  const auto kernel = rules::read_counters();
  if (!kernel)
    process::log_limited(spdlog::level::warn, "status lacks the rules' counters: {}", kernel.error().line());
  for (std::size_t index = 0; index < services_.size(); ++index) {
    ServiceStatus& each = status.services.emplace_back(service_status(index));
    if (!kernel) continue;
    if (const auto counted = kernel->find(each.service.name); counted != kernel->end())
      each.ladder = counted->second.ladder;
  }

  for (const auto& worker : workers_) {
    WorkerStatus& each = status.workers.emplace_back();
    for (std::size_t event = 0; event < core::kEvents; ++event)
      each.events[event] = worker->counters().events[event].value();
    const auto copy = [](const auto& from, auto& to) {
      std::ranges::transform(from, to.begin(), [](const core::Counter& counter) { return counter.value(); });
    };
    copy(worker->counters().batch_sizes, each.batch_sizes);
    copy(worker->counters().decisions, each.decisions);
    each.decision_ns = worker->counters().decision_ns.value();
  }
  status.queues = queue_status(layout_);
  if (auto refreshed = interfaces_.refresh(); !refreshed)
    process::log_limited(spdlog::level::warn, "status lacks the names of new interfaces: {}",
                         refreshed.error().line());
  status.interfaces = interface_status(workers_, interfaces_);
  return status;
}

}  // namespace nfsteer::control
