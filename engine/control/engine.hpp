// The engine as a whole: owns queues, workers, rules and counters, and changes them together. Everything here
// runs on the control thread.
//
// Every change follows one order, so that no packet is ever rewritten to where no rule binds it:
//   1. workers stop choosing what the new rules will not bind any more (publish, wait until every old verdict
//   is out)
//   2. the rules change, one commit per table
//   3. workers learn of what the new rules bind in addition
// If 2 fails, workers go back to the old configuration, and the error says why: the running state stays as it
// was.
//
// What is configured and what takes traffic are two things: health, draining and slow start decide in between
// (core/availability.hpp). Both ways lead through install(): a changed configuration, and refresh() when
// something has happened to a backend.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/config.hpp"
#include "config/raw.hpp"
#include "confine/spawner.hpp"
#include "control/affinity_sync.hpp"
#include "control/lifecycle.hpp"
#include "control/policies.hpp"
#include "control/published_snapshot.hpp"
#include "control/rule_watch.hpp"
#include "control/running_engine.hpp"
#include "control/shadow_log.hpp"
#include "control/slots.hpp"
#include "control/status.hpp"
#include "control/worker.hpp"
#include "core/availability.hpp"
#include "core/backend_key.hpp"
#include "core/queue_layout.hpp"
#include "core/result.hpp"
#include "health/monitor.hpp"
#include "iptc/applier.hpp"
#include "netlink/interfaces.hpp"
#include "process/watchdog.hpp"
#include "tracking/tracker.hpp"

namespace nfsteer::control {

// What a process without privileges has instead. They outlive the io_context.
struct Means {
  confine::Spawner* spawner = nullptr;  // runs programs; null: this process does
  int lock_file = -1;                   // of the tables, see rules::Applier
};

class Engine {
 public:
  // Reads the configuration again, for reload().
  using Source = std::function<core::Result<config::Config>()>;

  // Takes the queues, starts the workers, installs the rules. On an error nothing is left behind. Checks,
  // timers and whatever else the engine does by itself run on `io`, which outlives it. With
  // `build_own` the engine is a part of another program, which is no place to try policies in first.
  static core::Result<std::unique_ptr<Engine>> start(boost::asio::io_context& io, config::Config config,
                                                     Source source, Policies::OwnBuilder build_own = {},
                                                     Means means = {});

  // Stops as stop() does, if that has not happened.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Takes the queue rules out, answers every packet that is still queued, ends the workers, and then leaves
  // the ladder or removes it, as configured. Where it is removed, connections live on only as long as another
  // rule of the namespace has the kernel follow connections.
  core::Result<void> stop();
  bool leaves_ladder() const { return settings_.on_stop == config::OnStop::keep; }

  // What the services are to be; counts up with every change.
  const std::vector<core::Service>& services() const { return services_; }
  std::uint64_t revision() const { return revision_; }

  // Reads the configuration again; returns what has changed, as config::differences() words it.
  core::Result<std::vector<std::string>> reload();
  // Who is told of every reload, whoever asks for it.
  struct ReloadListener {
    std::function<void()> begins;
    std::function<void(const core::Result<std::vector<std::string>>& changes)> ends;
  };
  void on_reload(ReloadListener listener) { reload_listener_ = std::move(listener); }

  // `change` edits the services as raw values (config/services_edit.hpp); what it makes of them is validated,
  // and takes effect as a whole or not at all.
  using Change = std::function<core::Result<void>(config::RawValue& services)>;
  core::Result<void> edit(const Change& change);

  // What is known of the backends of each of services(), in their order.
  const std::vector<core::Availability>& availability() const { return availability_; }

  Status status();
  // The rules that stand for all this.
  core::Result<rules::RuleSet> rules() { return plan_rules(effective_); }

  // The backend that the service's policy chooses for a flow, where that follows from the flow alone.
  std::optional<std::uint32_t> certain_choice(std::string_view service, const core::FlowKey& flow) const;

  // Of services()[index]; without what the kernel's rules have counted, which takes reading them all.
  ServiceStatus service_status(std::size_t index);
  bool counts_connections() const { return tracker_ != nullptr; }
  const core::QueueLayout& layout() const { return layout_; }
  // Of each worker, see Worker::rounds().
  std::vector<std::uint64_t> rounds() const;

 private:
  Engine(boost::asio::io_context& io, config::Config config, Source source, Policies::OwnBuilder build_own,
         Means means, core::QueueLayout layout, NetworkClaim claim, netlink::InterfaceTable interfaces);

  core::Result<void> start_workers();
  void follow_connections();
  core::Result<std::vector<std::string>> read_again();
  core::Result<void> change_services(std::vector<core::Service> wanted);
  // Brings workers and rules to these services, as available now.
  core::Result<void> install(std::vector<core::Service> wanted);
  // The same for the services as they are, where a backend's availability has changed.
  void refresh();
  void refresh_at_next_step();
  core::Result<rules::RuleSet> plan_rules(const std::vector<core::Service>& services);
  void tick_at_next_second();
  void tick();
  void report_unanswered();
  void watch_rules_at_next_poll();
  void look_after_rules();
  void repair(const rules::RuleSet& planned, const rules::Damage& damage);
  void look_for_late_flows();
  void tell_displaced(const std::vector<std::string>& chains);

  Lifecycle::HealthOf known_health() const;
  std::vector<core::Availability> evaluate(const std::vector<core::Service>& services) const;
  core::SteeredService with_slots(const core::Service& service);
  // With a policy for each service. Where one cannot be built: an error; or, leniently, without that service,
  // which is the ladder's then.
  core::Result<std::unique_ptr<const core::Snapshot>> make_snapshot(
      const std::vector<core::Service>& services);
  std::unique_ptr<const core::Snapshot> make_lenient_snapshot(const std::vector<core::Service>& services);
  core::Result<core::SteeredService> with_policy(const core::Service& service);
  std::vector<core::LiveBackend*> live_state_of(const core::SteeredService& steered);
  void grow_counters();
  void tell_states();
  void follow_shadows();
  ShadowTotals shadow_totals(std::uint32_t service_slot) const;
  ShadowCounts shadow_counts(std::uint32_t backend_slot) const;
  void limit_pending();
  void watch_workers();
  core::Failure refusal_while_stuck() const;
  std::shared_ptr<const core::Snapshot> lookup_of(const std::vector<core::Service>& services);
  void release_slots();
  void forget_stale_flows(const std::vector<core::Service>& held_before);
  void forget_once(const std::vector<core::Service>& held_before);
  void wait_for_empty_queues();

  BackendStatus backend_status(const core::Service& service, const core::Availability& availability,
                               std::size_t index);
  ConntrackStatus conntrack_status() const;

  config::Engine settings_;
  Source source_;
  ReloadListener reload_listener_;
  std::uint64_t seed_;
  core::QueueLayout layout_;
  rules::Applier rules_;
  RuleWatch rule_watch_;
  int looks_left_ = 0;  // for flows to forget
  RuleWatch::Clock::time_point next_look_;
  std::vector<core::Service> held_at_first_look_;  // before the change that they are about
  std::vector<core::Service> services_;            // as configured
  std::vector<core::Availability> availability_;   // of each service
  std::vector<core::Service> effective_;           // with effective weights: what the rules stand for
  Lifecycle lifecycle_;
  // Whether a backend that no check has reached yet may take connections.
  std::function<bool(const core::BackendKey&)> trusted_;
  health::Monitor monitor_;
  std::unique_ptr<tracking::Tracker> tracker_;  // null: connections are not counted
  SlotTable<std::string> service_slots_;
  SlotTable<core::BackendKey> backend_slots_;
  AffinitySync affinity_;
  Policies policies_;
  ShadowLog shadows_;
  std::map<std::uint32_t, std::uint64_t> picks_at_tick_;  // by backend slot, where pending ones are counted
  NetworkClaim claim_;
  PublishedSnapshot published_;
  std::vector<std::unique_ptr<Worker>> workers_;
  netlink::InterfaceTable interfaces_;
  std::chrono::steady_clock::time_point started_;
  std::uint64_t revision_ = 0;
  std::uint64_t rule_errors_ = 0;
  std::uint64_t rule_repairs_ = 0;
  std::string displaced_;  // where others' rules stand before our jumps, as last told
  ReloadStatus reloads_;
  boost::asio::steady_timer fill_timer_;
  boost::asio::steady_timer tick_timer_;
  boost::asio::steady_timer rule_timer_;
  process::ProgressMonitor progress_;
  std::optional<std::size_t> stuck_;  // the worker that hangs in a decision: the ladder balances meanwhile
  bool queues_are_out_ = false;       // of the rules, for that reason
  bool refresh_failed_ = false;
  bool warned_of_coarse_spreading_ = false;
  bool running_ = false;
};

}  // namespace nfsteer::control
