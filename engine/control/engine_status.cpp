// Engine::status(): gathers what the workers, the kernel's queues and the rules have counted.
#include <unistd.h>

#include <algorithm>
#include <map>

#include "control/engine.hpp"
#include "control/log.hpp"
#include "iptc/counters.hpp"
#include "netlink/queue_stats.hpp"

namespace nfsteer::control {
namespace {

using Workers = std::vector<std::unique_ptr<Worker>>;

BackendStatus backend_status(const Workers& workers, const core::Backend& backend, std::uint32_t slot) {
  BackendStatus status;
  status.backend = backend;
  status.effective_weight = backend.weight;
  for (const auto& worker : workers) {
    const core::BackendCounters& counters = worker->counters().backends[slot];
    status.picks += counters.picks.value();
    status.packets += counters.packets.value();
    status.bytes += counters.bytes.value();
  }
  return status;
}

std::vector<QueueStatus> queue_status(const core::QueueLayout& layout) {
  std::vector<QueueStatus> queues;
  const auto kernel = netlink::read_queue_stats();
  if (!kernel) {
    log_limited(spdlog::level::warn, "status lacks the kernel's queue counters: {}", kernel.error().line());
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

Status Engine::status() {
  Status status;
  status.pid = getpid();
  status.uptime_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  status.rule_commits = rules_.commits();
  status.rule_errors = rule_errors_;
  status.revision = revision_;

  const auto kernel = rules::read_counters();
  if (!kernel)
    log_limited(spdlog::level::warn, "status lacks the rules' counters: {}", kernel.error().line());
  for (const core::Service& service : services_) {
    ServiceStatus& each = status.services.emplace_back();
    each.service = service;
    for (const core::Backend& backend : service.backends)
      each.backends.push_back(
          backend_status(workers_, backend, backend_slots_.hold(core::key_of(service, backend))));
    for (const auto& worker : workers_)
      each.no_backend += worker->counters().services[service_slots_.hold(service.name)].no_backend.value();
    if (kernel)
      if (const auto counted = kernel->find(service.name); counted != kernel->end())
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
    log_limited(spdlog::level::warn, "status lacks the names of new interfaces: {}",
                refreshed.error().line());
  status.interfaces = interface_status(workers_, interfaces_);
  return status;
}

}  // namespace nfsteer::control
