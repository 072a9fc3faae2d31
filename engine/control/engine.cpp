#include "control/engine.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "config/diff.hpp"
#include "config/services_edit.hpp"
#include "control/running_engine.hpp"
#include "control/stale_flows.hpp"
#include "iptc/features.hpp"
#include "netlink/queue_stats.hpp"
#include "plan/plan.hpp"
#include "policy/catalogue.hpp"

namespace nfsteer::control {
namespace {

using core::Backend;
using core::Service;
using core::Snapshot;
using core::SteeredService;

constexpr auto kDrainMax = std::chrono::seconds(2);

std::unique_ptr<const Snapshot> empty_snapshot() {
  return std::make_unique<const Snapshot>(std::vector<SteeredService>{});
}

bool same_scope(const Service& one, const Service& other) {
  return one.vip == other.vip && one.protocol == other.protocol && one.port == other.port;
}

// What both the rules for `current` and those for `wanted` bind: the wanted services that exist already, with
// the backends whose port has a binding rule already. A service that is left out, or left without a backend,
// is the ladder's for the moment of the change.
std::vector<Service> bound_by_both(const std::vector<Service>& current, const std::vector<Service>& wanted) {
  std::vector<Service> both;
  for (const Service& service : wanted) {
    const auto before =
        std::ranges::find_if(current, [&](const Service& each) { return same_scope(each, service); });
    if (before == current.end()) continue;
    Service kept = service;
    std::erase_if(kept.backends, [&](const Backend& backend) {
      return std::ranges::none_of(before->backends, [&](const Backend& old) {
        return before->port_at(old) == service.port_at(backend);
      });
    });
    if (kept.has_usable_backend() || !service.has_usable_backend()) both.push_back(std::move(kept));
  }
  return both;
}

// In every address family that the services use.
core::Result<bool> can_spread_by_port(const std::vector<Service>& services) {
  for (const core::Family family : {core::Family::ipv4, core::Family::ipv6}) {
    if (std::ranges::none_of(services, [&](const Service& each) { return each.vip.family() == family; }))
      continue;
    auto spread = rules::can_spread_by_port(family);
    if (!spread || !*spread) return spread;
  }
  return true;
}

core::Result<void> refuse_beside_another() {
  const auto engine = other_engine();
  if (!engine) return {};
  return core::system_error(
      fmt::format("queue {}", engine->queue),
      fmt::format("taken by another engine of this network namespace (pid {})", engine->pid),
      "stop that one, or give it these services as well: one engine holds all rules");
}

std::uint64_t random_seed() {
  std::random_device device;  // 32 bits a call
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

Engine::Engine(config::Config config, Source source, core::QueueLayout layout,
               netlink::InterfaceTable interfaces)
    : settings_(std::move(config.engine)),
      source_(std::move(source)),
      layout_(layout),
      published_(layout.workers, empty_snapshot()),
      interfaces_(std::move(interfaces)),
      started_(std::chrono::steady_clock::now()) {}

core::Result<std::unique_ptr<Engine>> Engine::start(config::Config config, Source source) {
  const core::QueueLayout layout{config.engine.queue_base, config.engine.workers()};
  std::vector<Service> services = std::move(config.services);
  if (auto alone = refuse_beside_another(); !alone) return tl::unexpected(alone.error());
  auto interfaces = netlink::InterfaceTable::open();
  if (!interfaces) return tl::unexpected(interfaces.error());
  std::unique_ptr<Engine> engine(
      new Engine(std::move(config), std::move(source), layout, std::move(*interfaces)));

  const std::uint64_t seed = engine->settings_.seed.value_or(random_seed());
  for (unsigned index = 0; index < layout.workers; ++index) {
    auto worker = Worker::start({index, layout, engine->settings_.queue_length, seed}, engine->published_);
    if (!worker) return tl::unexpected(worker.error());
    engine->workers_.push_back(std::move(*worker));
  }
  // Again, now that we can be seen: of two that start at once, at least one leaves.
  if (auto alone = refuse_beside_another(); !alone) return tl::unexpected(alone.error());
  engine->running_ = true;
  if (auto changed = engine->change_services(std::move(services)); !changed) {
    engine->workers_.clear();
    engine->running_ = false;
    return tl::unexpected(changed.error());
  }
  return engine;
}

std::vector<std::uint64_t> Engine::rounds() const {
  std::vector<std::uint64_t> rounds;
  for (const auto& worker : workers_)
    rounds.push_back(worker->rounds());
  return rounds;
}

Engine::~Engine() {
  if (auto stopped = stop(); !stopped) spdlog::error("{}", stopped.error().line());
}

core::Result<void> Engine::stop() {
  if (!running_) return {};
  running_ = false;
  auto unqueued = rules_.apply(rules::plan(services_, layout_, {.queueing = false}));
  if (!unqueued) spdlog::error("the queue rules stay: {}", unqueued.error().line());
  wait_for_empty_queues();
  workers_.clear();
  return leaves_ladder() ? unqueued : rules_.remove();
}

void Engine::wait_for_empty_queues() {
  const auto deadline = std::chrono::steady_clock::now() + kDrainMax;
  // A packet can be between the old rules and its queue for a moment: empty has to hold twice.
  for (int quiet = 0; quiet < 2 && std::chrono::steady_clock::now() < deadline;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const auto queues = netlink::read_queue_stats();
    const bool empty = queues && std::ranges::all_of(*queues, [&](const netlink::QueueStats& queue) {
                         return !layout_.contains(queue.queue) || queue.waiting == 0;
                       });
    quiet = empty ? quiet + 1 : 0;
  }
}

core::Result<void> Engine::change_services(std::vector<Service> wanted) {
  const auto spread = can_spread_by_port(wanted);
  if (!spread) return tl::unexpected(spread.error());
  if (!*spread && !std::exchange(warned_of_coarse_spreading_, true))
    spdlog::warn("the kernel has no bpf match: all connections of one client go to one worker; load xt_bpf");
  const rules::RuleSet planned = rules::plan(wanted, layout_, {.spread_by_port = *spread});
  if (auto probed = rules::probe(planned); !probed) return probed;
  published_.publish(make_snapshot(bound_by_both(services_, wanted)));
  auto applied = rules_.apply(planned);
  std::vector<Service> before = applied ? std::exchange(services_, std::move(wanted)) : services_;
  ++(applied ? revision_ : rule_errors_);
  published_.publish(make_snapshot(services_));
  release_slots();
  if (applied) forget_stale_flows(before);
  return applied;
}

// Behind the change, so that the next packet of such a flow finds the new rules.
void Engine::forget_stale_flows(const std::vector<Service>& before) {
  if (!may_leave_stale_flows(before, services_)) return;
  const auto forgotten = forget(stale_flows(before, services_));
  if (!forgotten) {
    spdlog::warn("flows to removed backends may go on: {}", forgotten.error().line());
  } else if (*forgotten > 0) {
    spdlog::info("forgot {} flow{} to backends that are gone", *forgotten, *forgotten == 1 ? "" : "s");
  }
}

std::unique_ptr<const Snapshot> Engine::make_snapshot(const std::vector<Service>& services) {
  std::vector<SteeredService> steered;
  steered.reserve(services.size());
  for (const Service& service : services) {
    SteeredService& each = steered.emplace_back();
    each.service = service;
    each.slot = service_slots_.hold(service.name);
    for (const Backend& backend : service.backends)
      each.backend_slots.push_back(backend_slots_.hold(core::key_of(service, backend)));
    each.picker = policy::build(service.policy, service.backends);
  }
  for (const auto& worker : workers_) {
    worker->counters().services.grow(service_slots_.size());
    worker->counters().backends.grow(backend_slots_.size());
  }
  return std::make_unique<const Snapshot>(std::move(steered));
}

// Slots of what is no longer configured. No worker counts there any more: the snapshots that named them are
// gone.
void Engine::release_slots() {
  std::set<std::string_view> names;
  std::set<core::BackendKey> backends;
  for (const Service& service : services_) {
    names.insert(service.name);
    for (const Backend& backend : service.backends)
      backends.insert(core::key_of(service, backend));
  }
  service_slots_.release_unless([&](const std::string& name) { return names.contains(name); },
                                [&](std::uint32_t slot) {
                                  for (const auto& worker : workers_)
                                    worker->counters().services[slot].reset();
                                });
  backend_slots_.release_unless([&](const core::BackendKey& key) { return backends.contains(key); },
                                [&](std::uint32_t slot) {
                                  for (const auto& worker : workers_)
                                    worker->counters().backends[slot].reset();
                                });
}

core::Result<std::vector<std::string>> Engine::reload() {
  if (reload_listener_.begins) reload_listener_.begins();
  auto changes = read_again();
  if (reload_listener_.ends) reload_listener_.ends(changes);
  return changes;
}

core::Result<std::vector<std::string>> Engine::read_again() {
  if (!source_)
    return core::usage_error("reload", "this engine was started from flags, there is no file to read",
                             "start it with -c FILE");
  auto config = source_();
  if (!config) return tl::unexpected(config.error());
  if (config->engine != settings_)
    spdlog::warn("reload: the `engine` section has changed; that takes effect at the next start");
  std::vector<std::string> changes = config::differences(services_, config->services);
  if (auto changed = change_services(std::move(config->services)); !changed)
    return tl::unexpected(changed.error());
  return changes;
}

core::Result<void> Engine::edit(const Change& change) {
  config::RawValue list = config::raw_from(services_);
  if (auto edited = change(list); !edited) return edited;
  auto wanted = config::validate_services(list, policy::names());
  if (!wanted) return tl::unexpected(wanted.error());
  return change_services(*std::move(wanted));
}

}  // namespace nfsteer::control
