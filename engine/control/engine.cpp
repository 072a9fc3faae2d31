#include "control/engine.hpp"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "netlink/queue_stats.hpp"
#include "plan/plan.hpp"
#include "plugin/trial.hpp"

namespace nfsteer::control {
namespace {

namespace asio = boost::asio;
using core::Service;
using core::Snapshot;
using core::SteeredService;

constexpr auto kDrainMax = std::chrono::seconds(2);
// A worker without work gets round ten times a second, and the longest batch takes some milliseconds.
constexpr auto kStuckAfter = std::chrono::milliseconds(2500);
// What a policy from a file may take for a decision.
constexpr std::uint64_t kDecisionBudget_ns = 100'000;

std::uint64_t monotonic_ns() noexcept {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count());
}

std::unique_ptr<const Snapshot> empty_snapshot() {
  return std::make_unique<const Snapshot>(std::vector<SteeredService>{});
}

std::uint64_t random_seed() {
  std::random_device device;  // 32 bits a call
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

Engine::Engine(asio::io_context& io, config::Config config, Source source, Policies::OwnBuilder build_own,
               Means means, core::QueueLayout layout, NetworkClaim claim, netlink::InterfaceTable interfaces)
    : settings_(std::move(config.engine)),
      source_(std::move(source)),
      seed_(settings_.seed.value_or(random_seed())),
      layout_(layout),
      rules_(means.lock_file),
      monitor_(
          io, seed_, [this] { refresh(); }, means.spawner),
      affinity_(random_seed()),
      policies_(layout.workers,
                plugin::Loader({build_own ? "" : plugin::trial_program(), kDecisionBudget_ns, means.spawner}),
                {kDecisionBudget_ns, monotonic_ns}, build_own),
      claim_(std::move(claim)),
      published_(layout.workers, empty_snapshot()),
      interfaces_(std::move(interfaces)),
      started_(std::chrono::steady_clock::now()),
      fill_timer_(io),
      tick_timer_(io),
      rule_timer_(io),
      progress_(kStuckAfter) {}

core::Result<std::unique_ptr<Engine>> Engine::start(asio::io_context& io, config::Config config,
                                                    Source source, Policies::OwnBuilder build_own,
                                                    Means means) {
  const core::QueueLayout layout{config.engine.queue_base, config.engine.workers()};
  std::vector<Service> services = std::move(config.services);
  auto claim = NetworkClaim::take();
  if (!claim) return tl::unexpected(claim.error());
  auto interfaces = netlink::InterfaceTable::open();
  if (!interfaces) return tl::unexpected(interfaces.error());
  std::unique_ptr<Engine> engine(new Engine(io, std::move(config), std::move(source), std::move(build_own),
                                            means, layout, *std::move(claim), *std::move(interfaces)));
  if (auto started = engine->start_workers(); !started) return tl::unexpected(started.error());
  engine->follow_connections();
  engine->running_ = true;
  if (auto changed = engine->change_services(std::move(services)); !changed) {
    engine->workers_.clear();
    engine->running_ = false;
    return tl::unexpected(changed.error());
  }
  engine->tick_at_next_second();
  engine->watch_rules_at_next_poll();
  return engine;
}

core::Result<void> Engine::start_workers() {
  for (unsigned index = 0; index < layout_.workers; ++index) {
    auto worker = Worker::start({index, layout_, settings_.queue_length, seed_}, published_);
    if (!worker) return tl::unexpected(worker.error());
    workers_.push_back(std::move(*worker));
  }
  return {};
}

// Before any rule is there: the kernel tells of connections only if they were opened while somebody listened.
void Engine::follow_connections() {
  if (!settings_.track_connections) return;
  auto tracker = tracking::Tracker::start(lookup_of({}));
  if (tracker) {
    tracker_ = std::move(*tracker);
  } else {
    spdlog::warn("connections are not counted: {}", tracker.error().line());
  }
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
  fill_timer_.cancel();
  tick_timer_.cancel();
  rule_timer_.cancel();
  auto unqueued = rules_.apply(rules::plan(effective_, layout_, {.queueing = false}));
  if (!unqueued) spdlog::error("the queue rules stay: {}", unqueued.error().line());
  if (stuck_) {
    // Its thread never ends, and would be waited for.
    if (!leaves_ladder()) unqueued = rules_.remove();
    spdlog::critical("worker {} still hangs in a decision: the process ends without it", *stuck_);
    spdlog::shutdown();
    std::_Exit(unqueued ? EXIT_SUCCESS : EXIT_FAILURE);
  }
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

}  // namespace nfsteer::control
