// How the engine becomes another one while it runs: changes of the configuration, of health, and over time.
#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "config/diff.hpp"
#include "config/services_edit.hpp"
#include "control/engine.hpp"
#include "control/stale_flows.hpp"
#include "iptc/features.hpp"
#include "iptc/load_tables.hpp"
#include "plan/plan.hpp"

namespace nfsteer::control {
namespace {

using core::Availability;
using core::Backend;
using core::Service;
using core::Snapshot;
using core::SteeredService;

constexpr auto kTick = std::chrono::seconds(1);

// What both the rules for `current` and those for `wanted` bind: the wanted services that exist already, with
// the backends whose port has a binding rule already. A service that is left out, or left without a backend,
// is the ladder's for the moment of the change.
std::vector<Service> bound_by_both(const std::vector<Service>& current, const std::vector<Service>& wanted) {
  using Scope = std::tuple<core::IpAddress, core::Protocol, std::uint16_t>;
  const auto scope_of = [](const Service& each) { return Scope(each.vip, each.protocol, each.port); };
  std::map<Scope, const Service*> known;
  for (const Service& each : current)
    known.emplace(scope_of(each), &each);
  std::vector<Service> both;
  for (const Service& service : wanted) {
    const auto before = known.find(scope_of(service));
    if (before == known.end()) continue;
    std::set<std::uint16_t> bound_ports;
    for (const Backend& old : before->second->backends)
      bound_ports.insert(before->second->port_at(old));
    Service kept = service;
    // Until the engine has learnt where the ladder has put the clients.
    if (kept.affinity && before->second->mode == core::Mode::dnat) kept.mode = core::Mode::dnat;
    std::erase_if(kept.backends,
                  [&](const Backend& backend) { return !bound_ports.contains(service.port_at(backend)); });
    if (kept.has_usable_backend() || !service.has_usable_backend()) both.push_back(std::move(kept));
  }
  return both;
}

// In every address family that the services use.
core::Result<bool> can_spread_by_port(const std::vector<Service>& services) {
  for (const core::Family family : {core::Family::ipv4, core::Family::ipv6}) {
    if (std::ranges::none_of(services, [&](const Service& each) { return each.vip.family() == family; }))
      continue;
    rules::load_tables(family);
    auto spread = rules::can_spread_by_port(family);
    if (!spread || !*spread) return spread;
  }
  return true;
}

// The services with the weights that policies and rules are to go by.
std::vector<Service> effective(std::vector<Service> services, const std::vector<Availability>& availability) {
  for (std::size_t i = 0; i < services.size(); ++i)
    services[i].backends = availability[i].backends;
  return services;
}

// The backends that may have connections already.
std::set<core::BackendKey> in_service(const std::vector<Service>& services) {
  std::set<core::BackendKey> keys;
  for (const Service& service : services)
    for (const Backend& backend : service.backends)
      if (backend.state != core::AdminState::maintenance) keys.insert(core::key_of(service, backend));
  return keys;
}

}  // namespace

core::Result<void> Engine::change_services(std::vector<Service> wanted) {
  const bool is_start = revision_ == 0;
  trusted_ = [known = in_service(services_), is_start](const core::BackendKey& key) {
    return is_start || known.contains(key);
  };
  auto installed = install(std::move(wanted));
  if (!installed) return installed;
  ++revision_;
  // Those that checks are new to, but connections are not, are up until they have shown otherwise.
  std::vector<Service> trusted = services_;
  for (Service& service : trusted)
    std::erase_if(service.backends,
                  [&](const Backend& backend) { return !trusted_(core::key_of(service, backend)); });
  monitor_.watch(trusted, true);
  monitor_.watch(services_, false);
  return {};
}

core::Result<void> Engine::install(std::vector<Service> wanted) {
  if (stuck_) return refusal_while_stuck();
  std::vector<Availability> available = evaluate(wanted);
  std::vector<Service> next = effective(wanted, available);
  const auto planned = plan_rules(next);
  if (!planned) return tl::unexpected(planned.error());
  if (auto probed = rules::probe(*planned); !probed) return probed;

  // Connections to what is new are counted from the first one on.
  if (tracker_) tracker_->follow(lookup_of(wanted));
  auto snapshot = make_snapshot(next);
  if (!snapshot) {
    if (tracker_) tracker_->follow(lookup_of(services_));
    grow_counters();  // for the slots that were taken before it failed: they are reset
    release_slots();
    return tl::unexpected(snapshot.error());
  }
  if (!published_.publish(make_lenient_snapshot(bound_by_both(effective_, next)))) {
    if (tracker_) tracker_->follow(lookup_of(services_));
    published_.publish(make_lenient_snapshot(effective_));
    watch_workers();
    return refusal_while_stuck();
  }
  auto applied = rules_.apply(*planned);
  const std::vector<Service> held_before = holding(services_, availability_);
  if (applied) {
    services_ = std::move(wanted);
    availability_ = std::move(available);
    effective_ = std::move(next);
    lifecycle_.adopt(services_, known_health(), Lifecycle::Clock::now());
    rule_watch_.adopt(rules_.outlines_left(), RuleWatch::Clock::now());
  } else {
    ++rule_errors_;
    if (tracker_) tracker_->follow(lookup_of(services_));
  }
  tell_states();
  follow_shadows();
  if (!applied) *snapshot = make_lenient_snapshot(effective_);
  affinity_.adopt(**snapshot);
  published_.publish(*std::move(snapshot));
  affinity_.forget_others(published_.current());
  release_slots();
  if (applied && may_leave_stale_flows(held_before, holding(services_, availability_)))
    forget_stale_flows(held_before);
  refresh_at_next_step();
  return applied;
}

core::Result<rules::RuleSet> Engine::plan_rules(const std::vector<Service>& services) {
  const auto spread = can_spread_by_port(services);
  if (!spread) return tl::unexpected(spread.error());
  if (!*spread && !std::exchange(warned_of_coarse_spreading_, true))
    spdlog::warn("the kernel has no bpf match: all connections of one client go to one worker; load xt_bpf");
  return rules::plan(services, layout_, {.spread_by_port = *spread});
}

Lifecycle::HealthOf Engine::known_health() const {
  return [this](const Service& service, const Backend& backend) {
    if (!service.health) return core::Health::up;
    const core::BackendKey key = core::key_of(service, backend);
    if (const health::Report known = monitor_.report(key); known.checked) return known.health;
    return trusted_(key) ? core::Health::up : core::Health::unknown;
  };
}

std::vector<Availability> Engine::evaluate(const std::vector<Service>& services) const {
  return lifecycle_.evaluate(services, known_health(), Lifecycle::Clock::now());
}

void Engine::refresh() {
  if (!running_) return;
  std::vector<Availability> available = evaluate(services_);
  if (effective(services_, available) == effective_ && !refresh_failed_) {
    availability_ = std::move(available);
    tell_states();
    lifecycle_.adopt(services_, known_health(), Lifecycle::Clock::now());
    return refresh_at_next_step();
  }
  const auto installed = install(services_);
  // Kept in mind, and tried again with the next tick: another program may hold the xtables lock.
  if (!installed && !refresh_failed_)
    spdlog::error("a change of backends' health cannot take effect yet: {}", installed.error().line());
  refresh_failed_ = !installed;
}

void Engine::refresh_at_next_step() {
  const auto next = lifecycle_.next_step(Lifecycle::Clock::now());
  if (!next) return;
  fill_timer_.expires_at(*next);
  fill_timer_.async_wait([this](const boost::system::error_code& cancelled) {
    if (!cancelled) refresh();
  });
}

void Engine::tick_at_next_second() {
  tick_timer_.expires_after(kTick);
  tick_timer_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    tick();
    tick_at_next_second();
  });
}

// A decision that never ends takes its worker and the worker's queues with it. Nobody can end it from
// outside; but the rules can stop sending packets there, and the ladder balances.
void Engine::watch_workers() {
  const auto stall = progress_.observe(rounds(), process::ProgressMonitor::Clock::now());
  if (stall) stuck_ = stall->worker;
  if (!stall && stuck_) {
    spdlog::warn("worker {} goes on: the engine decides again", *stuck_);
    stuck_.reset();
    refresh_failed_ = std::exchange(queues_are_out_, false);  // refresh() puts the rules back
  }
  if (!stuck_ || queues_are_out_) return;
  spdlog::critical(
      "worker {} hangs in a decision: new connections are left to the DNAT ladder until it goes on; "
      "restart the engine without the policy from a file that it hangs in",
      *stuck_);
  const auto unqueued = rules_.apply(rules::plan(effective_, layout_, {.queueing = false}));
  queues_are_out_ = unqueued.has_value();
  if (!unqueued) spdlog::error("the queue rules stay: {}", unqueued.error().line());
}

core::Failure Engine::refusal_while_stuck() const {
  return core::system_error(fmt::format("worker {}", stuck_.value_or(0)),
                            "hangs in a decision of a policy, so nothing can be changed",
                            "restart the engine without that policy; the DNAT ladder balances meanwhile");
}

void Engine::tick() {
  watch_workers();
  if (stuck_) return;
  if (refresh_failed_) refresh();
  report_unanswered();
  limit_pending();
  const auto now_ns = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                                                 std::chrono::nanoseconds(1));
  for (const SteeredService& steered : published_.current().services()) {
    steered.picker->tick(now_ns);
    if (steered.shadow) steered.shadow->tick(now_ns);
  }
  for (const std::string& line : policies_.news())
    spdlog::warn("{}", line);
}

void Engine::report_unanswered() {
  if (!tracker_) return;
  for (const Service& service : services_) {
    if (!service.health || service.health->passive == 0) continue;
    for (const Backend& backend : service.backends) {
      core::BackendKey key = core::key_of(service, backend);
      const std::uint64_t in_a_row = tracker_->totals(backend_slots_.hold(key)).unanswered_in_a_row;
      monitor_.unanswered(key, in_a_row);
    }
  }
}

SteeredService Engine::with_slots(const Service& service) {
  SteeredService steered;
  steered.service = service;
  steered.slot = service_slots_.hold(service.name);
  for (const Backend& backend : service.backends)
    steered.backend_slots.push_back(backend_slots_.hold(core::key_of(service, backend)));
  return steered;
}

std::shared_ptr<const Snapshot> Engine::lookup_of(const std::vector<Service>& services) {
  std::vector<SteeredService> steered;
  steered.reserve(services.size());
  for (const Service& service : services)
    steered.push_back(with_slots(service));
  return std::make_shared<const Snapshot>(std::move(steered));
}

core::Result<std::unique_ptr<const Snapshot>> Engine::make_snapshot(const std::vector<Service>& services) {
  std::vector<SteeredService> steered;
  steered.reserve(services.size());
  for (const Service& service : services) {
    auto each = with_policy(service);
    if (!each) return tl::unexpected(each.error());
    steered.push_back(*std::move(each));
  }
  grow_counters();
  return std::make_unique<const Snapshot>(std::move(steered));
}

std::unique_ptr<const Snapshot> Engine::make_lenient_snapshot(const std::vector<Service>& services) {
  std::vector<SteeredService> steered;
  steered.reserve(services.size());
  for (const Service& service : services) {
    auto each = with_policy(service);
    if (each)
      steered.push_back(*std::move(each));
    else
      spdlog::error("{}; its new connections are left to the DNAT ladder", each.error().line());
  }
  grow_counters();
  return std::make_unique<const Snapshot>(std::move(steered));
}

core::Result<SteeredService> Engine::with_policy(const Service& service) {
  SteeredService steered = with_slots(service);
  steered.affinity = affinity_.table_for(service);
  std::vector<core::LiveBackend*> live = live_state_of(steered);
  auto picker = policies_.policy_of(service, live);
  if (!picker) return tl::unexpected(picker.error());
  auto shadow = policies_.shadow_of(service, live);
  if (!shadow) return tl::unexpected(shadow.error());
  steered.picker = *std::move(picker);
  steered.shadow = *std::move(shadow);
  if (steered.picker->uses_live() || (steered.shadow && steered.shadow->uses_live()))
    steered.live = std::move(live);
  return steered;
}

std::vector<core::LiveBackend*> Engine::live_state_of(const SteeredService& steered) {
  std::vector<core::LiveBackend*> live;
  if (!tracker_) return live;
  live.reserve(steered.backend_slots.size());
  for (const std::uint32_t slot : steered.backend_slots)
    live.push_back(&tracker_->live(slot));
  return live;
}

void Engine::grow_counters() {
  for (const auto& worker : workers_) {
    worker->counters().services.grow(service_slots_.size());
    worker->counters().backends.grow(backend_slots_.size());
  }
}

// For policies that look at more than weights.
void Engine::tell_states() {
  if (!tracker_) return;
  for (std::size_t i = 0; i < services_.size(); ++i)
    for (std::size_t j = 0; j < services_[i].backends.size(); ++j)
      tracker_->live(backend_slots_.hold(core::key_of(services_[i], services_[i].backends[j])))
          .set_state(static_cast<std::uint8_t>(availability_[i].states[j]));
}

// Counts of a shadow begin where it begins.
void Engine::follow_shadows() {
  for (const Service& service : services_) {
    const std::uint32_t slot = service_slots_.hold(service.name);
    if (!service.shadow) {
      shadows_.end(slot);
      continue;
    }
    if (!shadows_.is_new(slot, *service.shadow)) continue;
    shadows_.begin(slot, shadow_totals(slot));
    for (const Backend& backend : service.backends) {
      const std::uint32_t backend_slot = backend_slots_.hold(core::key_of(service, backend));
      shadows_.begin(backend_slot, shadow_counts(backend_slot));
    }
  }
}

// Connections that were picked and never came to be (a verdict that the kernel refused, a packet that a later
// rule dropped) would be pending for ever: conntrack tells of all others within a second.
void Engine::limit_pending() {
  std::map<std::uint32_t, std::uint64_t> picks;
  for (const SteeredService& steered : published_.current().services()) {
    for (std::size_t index = 0; index < steered.live.size(); ++index) {
      const std::uint32_t slot = steered.backend_slots[index];
      std::uint64_t& total = picks[slot];
      for (const auto& worker : workers_)
        total += worker->counters().backends[slot].picks.value();
      const auto before = picks_at_tick_.find(slot);
      if (before != picks_at_tick_.end() && before->second <= total)
        steered.live[index]->limit_pending(static_cast<std::uint32_t>(total - before->second));
    }
  }
  picks_at_tick_ = std::move(picks);
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
                                  shadows_.end(slot);
                                });
  policies_.release_unless([&](const std::string& name) { return names.contains(name); });
  backend_slots_.release_unless([&](const core::BackendKey& key) { return backends.contains(key); },
                                [&](std::uint32_t slot) {
                                  for (const auto& worker : workers_)
                                    worker->counters().backends[slot].reset();
                                  shadows_.forget_backend(slot);
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
  const auto fail = [this](const core::Error& error) {
    ++reloads_.failed;
    return tl::unexpected(error);
  };
  auto config = source_();
  if (!config) return fail(config.error());
  if (config->engine != settings_)
    spdlog::warn("reload: the `engine` section has changed; that takes effect at the next start");
  std::vector<std::string> changes = config::differences(services_, config->services);
  policies_.look_again();
  if (auto changed = change_services(std::move(config->services)); !changed) return fail(changed.error());
  ++reloads_.succeeded;
  reloads_.last_success_s =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return changes;
}

core::Result<void> Engine::edit(const Change& change) {
  config::RawValue list = config::raw_from(services_);
  if (auto edited = change(list); !edited) return edited;
  auto wanted = config::validate_services(list);
  if (!wanted) return tl::unexpected(wanted.error());
  // Who sets what is set already means the file, not its name.
  if (*wanted == services_) policies_.look_again();
  return change_services(*std::move(wanted));
}

}  // namespace nfsteer::control
