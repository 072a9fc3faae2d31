#include "lab/simulation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "lab/disruption.hpp"
#include "lab/event_queue.hpp"
#include "lab/fleet.hpp"
#include "lab/server_queue.hpp"
#include "lab/tally.hpp"
#include "lab/workload.hpp"

namespace nfsteer::lab {
namespace {

constexpr std::uint64_t kNetworkStream = 14;  // beside those of workload.cpp
// 126 years: what would be served later is served then, so that no sum of times overflows.
constexpr Nanoseconds kEndOfTime = 4'000'000'000'000'000'000;
constexpr Nanoseconds kNever = std::numeric_limits<Nanoseconds>::max();

// What a server does, beside what the engine knows of it.
struct Machine {
  ServerQueue queue;
  double slow = 1;
  std::optional<Distribution> rtt;  // instead of the server's own
  bool failed = false;
  std::uint32_t failures = 0;  // a flow in service is lost when this has grown
  std::uint32_t active = 0;    // connections that the engine knows of
};

struct OpenFlow {
  Nanoseconds start = 0;
  Nanoseconds work = 0;
  std::uint64_t bytes = 0;
  Nanoseconds rtt = 0;
  Nanoseconds queued_at = 0;
  ServerNumber server = 0;
  std::uint32_t failures = 0;  // of the server, when its service began
  bool is_answered = false;
};

class Simulation {
 public:
  Simulation(const Scenario& scenario, Decisions decisions, Fleet fleet, core::PolicySpec spec,
             FileLoader load_file)
      : scenario_(scenario),
        spec_(std::move(spec)),
        load_file_(std::move(load_file)),
        decisions_(std::move(decisions)),
        fleet_(std::move(fleet)),
        source_(scenario),
        probes_(scenario),
        network_(scenario.seed, kNetworkStream),
        tally_(scenario, spec_, source_.expected_end()) {
    for (ServerNumber number = 0; number < fleet_.size(); ++number)
      set_up(number);
  }

  core::Result<Report> run();

 private:
  core::Result<void> apply(const Change& change);
  core::Result<void> follow_change(std::string what, Nanoseconds now);
  core::Result<void> handle(const Event& event);
  void set_up(ServerNumber number);
  void fail(ServerNumber number, Nanoseconds now);
  void notice_later(ServerNumber number, Nanoseconds now) {
    events_.push(now + scenario_.detection, EventKind::noticed, number);
  }
  core::Result<void> notice(ServerNumber number, Nanoseconds now);

  void arrive(const Flow& flow);
  std::uint32_t open(const Flow& flow, ServerNumber number);
  void confirm(const OpenFlow& flow);
  void establish(const OpenFlow& flow, Nanoseconds now);
  void reach_server(std::uint32_t slot, Nanoseconds now);
  void serve(std::uint32_t slot, Nanoseconds now);
  void leave_server(std::uint32_t slot, Nanoseconds now);
  void give_up(std::uint32_t slot, Nanoseconds now);
  void end(std::uint32_t slot, Nanoseconds now);
  void close(std::uint32_t slot);

  // Half of a round trip, rounded.
  static Nanoseconds half(Nanoseconds rtt) { return rtt / 2; }
  bool has_handshake() const { return scenario_.protocol == core::Protocol::tcp; }

  const Scenario& scenario_;
  core::PolicySpec spec_;
  FileLoader load_file_;
  Decisions decisions_;
  Fleet fleet_;
  FlowSource source_;
  Probes probes_;
  core::Random network_;
  Tally tally_;
  EventQueue events_;
  std::vector<Machine> machines_;  // by number
  std::vector<OpenFlow> flows_;    // by slot
  std::vector<std::uint32_t> free_slots_;
};

core::Result<Report> Simulation::run() {
  Flow flow;
  bool has_flow = source_.next(flow);
  Nanoseconds last_start = 0;
  auto change = scenario_.churn.begin();
  while (true) {
    const Nanoseconds change_at = change == scenario_.churn.end() ? kNever : change->at;
    const Nanoseconds event_at = events_.empty() ? kNever : events_.next_at();
    const Nanoseconds flow_at = has_flow ? flow.start : kNever;
    if (change_at != kNever && change_at <= event_at && change_at <= flow_at) {
      if (auto applied = apply(*change++); !applied) return tl::unexpected(applied.error());
    } else if (event_at != kNever && event_at <= flow_at) {
      if (auto handled = handle(events_.pop()); !handled) return tl::unexpected(handled.error());
    } else if (has_flow) {
      arrive(flow);
      last_start = flow.start;
      has_flow = source_.next(flow);
    } else {
      break;
    }
  }
  tally_.close_epoch(decisions_.members());
  return tally_.take(fleet_, last_start);
}

void Simulation::set_up(ServerNumber number) {
  if (number >= machines_.size()) machines_.resize(number + 1);
  const Server& server = fleet_.server(number);
  machines_[number].queue.set_limits(server.concurrency, server.queue_max);
}

core::Result<void> Simulation::apply(const Change& change) {
  const ServerNumber number = fleet_.apply(change);
  if (change.action == Action::add) {
    set_up(number);
    machines_[number].failed = false;
    machines_[number].slow = 1;
    machines_[number].rtt.reset();
  }
  Machine& machine = machines_[number];
  if (change.action == Action::slow) {
    machine.slow = change.factor.value_or(machine.slow);
    if (change.rtt) machine.rtt = change.rtt;
  } else if (change.action == Action::fail && !machine.failed) {
    fail(number, change.at);
    notice_later(number, change.at);
  } else if (change.action == Action::recover && machine.failed) {
    machine.failed = false;
    notice_later(number, change.at);
  }
  return follow_change(to_string(change), change.at);
}

// The policy for what the backends are now; what that moves.
core::Result<void> Simulation::follow_change(std::string what, Nanoseconds now) {
  const Members before = decisions_.members();
  const auto is_new = decisions_.change_to(fleet_.members());
  if (!is_new) return tl::unexpected(is_new.error());
  ChangeResult result{now, std::move(what), std::nullopt};
  if (*is_new) {
    tally_.close_epoch(before);
    tally_.rebuilt();
    if (!probes_.empty()) {
      auto measured = probes_.measure(spec_, load_file_, before, decisions_.members(), now);
      if (!measured) return tl::unexpected(measured.error());
      result.disruption = *measured;
    }
  }
  tally_.changed(std::move(result));
  return {};
}

void Simulation::fail(ServerNumber number, Nanoseconds now) {
  Machine& machine = machines_[number];
  machine.failed = true;
  ++machine.failures;
  for (const std::uint32_t slot : machine.queue.fail())
    give_up(slot, now);
}

// The checks see the server as it is by now: one that was back before they noticed was never down.
core::Result<void> Simulation::notice(ServerNumber number, Nanoseconds now) {
  const bool is_up = !machines_[number].failed;
  if (!fleet_.set_healthy(number, is_up)) return {};
  const core::Backend& backend = fleet_.server(number).backend;
  return follow_change(core::endpoint_text(backend.address, backend.port) + (is_up ? " is up" : " is down"),
                       now);
}

core::Result<void> Simulation::handle(const Event& event) {
  switch (event.kind) {
    case EventKind::confirmed:
      confirm(flows_[event.subject]);
      break;
    case EventKind::established:
      establish(flows_[event.subject], event.at);
      break;
    case EventKind::at_server:
      reach_server(event.subject, event.at);
      break;
    case EventKind::served:
      leave_server(event.subject, event.at);
      break;
    case EventKind::ended:
      end(event.subject, event.at);
      break;
    case EventKind::closed:
      close(event.subject);
      break;
    case EventKind::noticed:
      return notice(event.subject, event.at);
  }
  return {};
}

void Simulation::arrive(const Flow& flow) {
  const auto number = decisions_.pick(flow.key, flow.start);
  const bool counts = tally_.counts(flow.start);
  if (!number) {
    if (counts) tally_.refused();
    return;
  }
  if (counts) tally_.decided(*number, flow);
  tally_.opened(*number);
  if (scenario_.decisions_only) {
    fleet_.live(*number).set_active(++machines_[*number].active);
    return;
  }
  if (decisions_.policy().uses_live()) fleet_.live(*number).picked();
  const std::uint32_t slot = open(flow, *number);
  const OpenFlow& opened = flows_[slot];
  events_.push(flow.start + scenario_.event_delay, EventKind::confirmed, slot);
  // TCP's request leaves the client when the handshake is over.
  const Nanoseconds request_at = flow.start + (has_handshake() ? opened.rtt : 0);
  if (has_handshake()) events_.push(request_at + scenario_.event_delay, EventKind::established, slot);
  events_.push(request_at + half(opened.rtt), EventKind::at_server, slot);
}

std::uint32_t Simulation::open(const Flow& flow, ServerNumber number) {
  const Machine& machine = machines_[number];
  const Distribution& rtt = machine.rtt ? *machine.rtt : fleet_.server(number).rtt;
  OpenFlow opened{.start = flow.start, .work = flow.work, .bytes = flow.bytes, .server = number};
  opened.rtt = static_cast<Nanoseconds>(std::min(rtt.sample(network_), 1e18));
  if (free_slots_.empty()) {
    flows_.push_back(opened);
    return static_cast<std::uint32_t>(flows_.size() - 1);
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  flows_[slot] = opened;
  return slot;
}

void Simulation::confirm(const OpenFlow& flow) {
  core::LiveBackend& live = fleet_.live(flow.server);
  live.confirmed();
  live.set_active(++machines_[flow.server].active);
}

void Simulation::establish(const OpenFlow& flow, Nanoseconds now) {
  if (machines_[flow.server].failed) return;
  const double latency_us = static_cast<double>(flow.rtt) / kMicrosecond;
  fleet_.live(flow.server).add_latency(std::max(latency_us, core::kLatencyMin_us), now);
}

void Simulation::reach_server(std::uint32_t slot, Nanoseconds now) {
  OpenFlow& flow = flows_[slot];
  Machine& machine = machines_[flow.server];
  if (machine.failed) return give_up(slot, now);
  flow.queued_at = now;
  switch (machine.queue.arrive(slot)) {
    case ServerQueue::Arrival::serve_now:
      serve(slot, now);
      break;
    case ServerQueue::Arrival::waits:
      break;
    case ServerQueue::Arrival::rejected:
      if (tally_.counts(flow.start)) tally_.rejected(flow.server);
      events_.push(now + half(flow.rtt), EventKind::ended, slot);
      break;
  }
}

void Simulation::serve(std::uint32_t slot, Nanoseconds now) {
  OpenFlow& flow = flows_[slot];
  const Machine& machine = machines_[flow.server];
  const Server& server = fleet_.server(flow.server);
  double time = static_cast<double>(flow.work) * machine.slow / server.speed;
  if (server.bandwidth > 0)
    time += static_cast<double>(flow.bytes) / server.bandwidth * static_cast<double>(kSecond);
  const auto taken = static_cast<Nanoseconds>(std::min(time, static_cast<double>(kEndOfTime)));
  flow.failures = machine.failures;
  if (tally_.counts(flow.start)) tally_.waited(now - flow.queued_at);
  tally_.worked(flow.server, taken);
  events_.push(std::min(now + taken, kEndOfTime), EventKind::served, slot);
}

void Simulation::leave_server(std::uint32_t slot, Nanoseconds now) {
  OpenFlow& flow = flows_[slot];
  Machine& machine = machines_[flow.server];
  if (flow.failures != machine.failures) return give_up(slot, now);  // lost when the server failed
  flow.is_answered = true;
  events_.push(now + half(flow.rtt), EventKind::ended, slot);
  if (const auto next = machine.queue.leave()) serve(*next, now);
}

// No answer will come; the client waits for it.
void Simulation::give_up(std::uint32_t slot, Nanoseconds now) {
  const OpenFlow& flow = flows_[slot];
  if (tally_.counts(flow.start)) tally_.unanswered(flow.server);
  events_.push(std::max(now, flow.start + scenario_.timeout), EventKind::ended, slot);
}

void Simulation::end(std::uint32_t slot, Nanoseconds now) {
  const OpenFlow& flow = flows_[slot];
  if (flow.is_answered && tally_.counts(flow.start)) tally_.answered(flow.server, now - flow.start);
  tally_.closed(flow.server, now);
  events_.push(now + scenario_.event_delay, EventKind::closed, slot);
}

void Simulation::close(std::uint32_t slot) {
  const ServerNumber number = flows_[slot].server;
  fleet_.live(number).set_active(--machines_[number].active);
  free_slots_.push_back(slot);
}

}  // namespace

core::Result<Report> simulate(const Scenario& scenario, const core::PolicySpec& policy,
                              const FileLoader& load_file) {
  Fleet fleet(scenario);
  auto decisions = Decisions::create(policy, load_file, fleet.members(), scenario.seed);
  if (!decisions) return tl::unexpected(decisions.error());
  return Simulation(scenario, *std::move(decisions), std::move(fleet), policy, load_file).run();
}

}  // namespace nfsteer::lab
