#include "health/monitor.hpp"

#include <algorithm>
#include <exception>
#include <map>
#include <unordered_map>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "core/random.hpp"
#include "health/backend_health.hpp"
#include "health/check_queue.hpp"
#include "health/checks/check.hpp"
#include "health/health_log.hpp"

namespace nfsteer::health {

namespace asio = boost::asio;
using core::BackendKey;
using core::CheckType;
using core::Health;
using core::HealthCheck;
using Clock = BackendHealth::Clock;
using Lane = CheckQueue::Lane;
using SharedCheck = std::shared_ptr<const HealthCheck>;

namespace {

// So many checks are started before the io_context's other work has its turn again.
constexpr int kStartsInARow = 32;

// A check under way. Its completion holds it, since the cancellation slots of its operations are the
// signal's.
struct Run {
  Run(CheckQueue::Id backend, Lane of) : id(backend), lane(of) {}
  CheckQueue::Id id;
  Lane lane;
  Clock::time_point started = Clock::now();
  asio::cancellation_signal signal;
  bool is_over = false;
};

struct Watched {
  CheckQueue::Id id;
  BackendKey key;
  SharedCheck check;
  Target target;
  BackendHealth health;
  std::shared_ptr<Run> run{};  // nullptr: no check is under way
  std::uint64_t checks_passed = 0;
  std::uint64_t checks_failed = 0;
  std::string last_result{};
};

Lane lane_of(const HealthCheck& check) {
  if (check.type == CheckType::passive) return Lane::free;
  return check.type == CheckType::exec ? Lane::process : Lane::network;
}

Target target_of(const core::Service& service, const core::Backend& backend) {
  const std::uint16_t port = service.health->port != 0 ? service.health->port : service.port_at(backend);
  return {service.name, backend.address, port};
}

}  // namespace

class Monitor::Checks : public std::enable_shared_from_this<Monitor::Checks> {
 public:
  Checks(asio::io_context& io, std::uint64_t seed, std::function<void()> changed, confine::Spawner* spawner)
      : io_(io), timer_(io), random_(seed), changed_(std::move(changed)), spawner_(spawner) {}

  void watch(const std::vector<core::Service>& services, bool trust_new);
  void stop();
  Health health(const BackendKey& key) const;
  Report report(const BackendKey& key) const;
  void unanswered(const BackendKey& key, std::uint64_t in_a_row);

 private:
  using Backends = std::map<BackendKey, Watched>;

  void keep(Watched& backend, const SharedCheck& check, const Target& target);
  void add(Backends& backends, BackendKey key, const SharedCheck& check, Target target, bool is_trusted);
  void drop(Watched& backend);
  void cancel(Watched& backend);
  void schedule(const Watched& backend);
  void wake();
  void start_due();
  void arm_timer();
  void start(Watched& backend);
  void ended(const Run& run, const CheckResult& result);
  void tell(const Watched& backend, Health before);

  asio::io_context& io_;
  asio::steady_timer timer_;
  core::Random random_;
  std::function<void()> changed_;
  confine::Spawner* spawner_;
  Backends backends_;
  std::unordered_map<CheckQueue::Id, Watched*> by_id_;
  CheckQueue::Id last_id_ = 0;
  CheckQueue queue_{kNetworkChecksMax, kProcessChecksMax};
  HealthLog log_{kLogLinesMax};
  bool is_awake_ = false;        // start_due() is about to be called
  bool is_change_told_ = false;  // changed_() is about to be called
};

void Monitor::Checks::watch(const std::vector<core::Service>& services, bool trust_new) {
  Backends next;
  for (const core::Service& service : services) {
    if (!service.health) continue;
    const auto check = std::make_shared<const HealthCheck>(*service.health);
    for (const core::Backend& backend : service.backends) {
      BackendKey key = core::key_of(service, backend);
      if (backend.state == core::AdminState::maintenance || next.contains(key)) continue;
      Target target = target_of(service, backend);
      if (auto known = backends_.extract(key)) {
        keep(known.mapped(), check, target);
        next.insert(std::move(known));
      } else {
        add(next, std::move(key), check, std::move(target), trust_new);
      }
    }
  }
  backends_.swap(next);
  for (auto& [key, backend] : next)
    drop(backend);
  wake();
}

void Monitor::Checks::keep(Watched& backend, const SharedCheck& check, const Target& target) {
  if (*backend.check == *check && backend.target == target) return;
  cancel(backend);
  backend.check = check;
  backend.target = target;
  backend.health.reconfigured(*check, Clock::now(), random_);
  schedule(backend);
}

void Monitor::Checks::add(Backends& backends, BackendKey key, const SharedCheck& check, Target target,
                          bool is_trusted) {
  const CheckQueue::Id id = ++last_id_;
  Watched backend{id, key, check, std::move(target), {*check, is_trusted, Clock::now(), random_}};
  Watched& added = backends.emplace(std::move(key), std::move(backend)).first->second;
  by_id_[id] = &added;
  schedule(added);
}

void Monitor::Checks::drop(Watched& backend) {
  cancel(backend);
  queue_.forget(backend.id);
  by_id_.erase(backend.id);
}

// ended() will come for the check, but find that nobody waits for it. A signal that is emitted elsewhere than
// in the io_context's thread at work is passed on later (co_spawn), perhaps to a check that has just ended.
void Monitor::Checks::cancel(Watched& backend) {
  if (!backend.run) return;
  asio::post(io_, [run = std::exchange(backend.run, nullptr)] {
    if (!run->is_over) run->signal.emit(asio::cancellation_type::terminal);
  });
}

void Monitor::Checks::stop() {
  for (auto& [key, backend] : backends_)
    cancel(backend);
  timer_.cancel();
}

void Monitor::Checks::schedule(const Watched& backend) {
  if (backend.run) return;  // ended() does it
  if (const auto due = backend.health.due(); due != BackendHealth::kNever)
    queue_.wait(backend.id, lane_of(*backend.check), due);
  else
    queue_.forget(backend.id);
}

void Monitor::Checks::wake() {
  if (std::exchange(is_awake_, true)) return;
  asio::post(io_, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->start_due();
  });
}

void Monitor::Checks::start_due() {
  is_awake_ = false;
  if (log_.summary_due() <= Clock::now()) log_.summarize();
  for (int count = 0; count < kStartsInARow; ++count) {
    const auto id = queue_.start(Clock::now());
    if (!id) return arm_timer();
    start(*by_id_.at(*id));
  }
  wake();
}

void Monitor::Checks::arm_timer() {
  const auto next = std::min(queue_.next_start(), log_.summary_due());
  if (next == CheckQueue::kNever) return;
  timer_.expires_at(next);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (error) return;  // armed anew
    if (const auto self = weak.lock()) self->wake();
  });
}

void Monitor::Checks::start(Watched& backend) {
  const Lane lane = lane_of(*backend.check);
  if (lane == Lane::free) {
    const Health before = backend.health.health();
    backend.health.come_back(Clock::now());
    backend.last_result = "back on trial";
    queue_.ended(lane);
    return tell(backend, before);
  }
  backend.run = std::make_shared<Run>(backend.id, lane);
  asio::co_spawn(
      io_, run_check(backend.target, backend.check, spawner_),
      asio::bind_cancellation_slot(
          backend.run->signal.slot(), [weak = weak_from_this(), run = backend.run](
                                          const std::exception_ptr& broken, const CheckResult& result) {
            const auto self = weak.lock();
            if (!self) return;
            self->ended(*run, broken ? CheckResult{Outcome::undecided, "broken off"} : result);
          }));
}

void Monitor::Checks::ended(const Run& run, const CheckResult& result) {
  queue_.ended(run.lane);
  wake();
  const auto found = by_id_.find(run.id);
  if (found == by_id_.end() || found->second->run.get() != &run) return;
  Watched& backend = *found->second;
  backend.run = nullptr;
  backend.checks_passed += result.outcome == Outcome::passed ? 1 : 0;
  backend.checks_failed += result.outcome == Outcome::failed ? 1 : 0;
  backend.last_result = result.detail;
  const Health before = backend.health.health();
  backend.health.check_ended(*backend.check, result.outcome, run.started, random_);
  schedule(backend);
  if (result.outcome == Outcome::undecided) log_.undecided(backend.key, result.detail, Clock::now());
  tell(backend, before);
}

void Monitor::Checks::unanswered(const BackendKey& key, std::uint64_t in_a_row) {
  const auto found = backends_.find(key);
  if (found == backends_.end()) return;
  Watched& backend = found->second;
  const Health before = backend.health.health();
  backend.health.unanswered(*backend.check, in_a_row, Clock::now(), random_);
  if (backend.health.health() == before) return;
  backend.last_result = fmt::format("{} connections in a row without an answer", in_a_row);
  schedule(backend);
  wake();
  tell(backend, before);
}

void Monitor::Checks::tell(const Watched& backend, Health before) {
  const Health after = backend.health.health();
  if (after == before) return;
  log_.changed(backend.key, after, backend.last_result, Clock::now());
  if (std::exchange(is_change_told_, true)) return;
  asio::post(io_, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->is_change_told_ = false;
    self->changed_();
  });
}

Health Monitor::Checks::health(const BackendKey& key) const {
  const auto found = backends_.find(key);
  return found == backends_.end() ? Health::up : found->second.health.health();
}

Report Monitor::Checks::report(const BackendKey& key) const {
  const auto found = backends_.find(key);
  if (found == backends_.end()) return {};
  const Watched& backend = found->second;
  return {true, backend.checks_passed, backend.checks_failed, backend.last_result, backend.health.health()};
}

Monitor::Monitor(asio::io_context& io, std::uint64_t seed, std::function<void()> changed,
                 confine::Spawner* spawner)
    : checks_(std::make_shared<Checks>(io, seed, std::move(changed), spawner)) {}

Monitor::~Monitor() {
  checks_->stop();
}

void Monitor::watch(const std::vector<core::Service>& services, bool trust_new) {
  checks_->watch(services, trust_new);
}

Health Monitor::health(const BackendKey& key) const {
  return checks_->health(key);
}

Report Monitor::report(const BackendKey& key) const {
  return checks_->report(key);
}

void Monitor::unanswered(const BackendKey& key, std::uint64_t in_a_row) {
  checks_->unanswered(key, in_a_row);
}

}  // namespace nfsteer::health
