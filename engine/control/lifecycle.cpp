#include "control/lifecycle.hpp"

#include <algorithm>
#include <utility>

namespace nfsteer::control {
namespace {

using core::Backend;
using core::Health;
using core::Service;

bool is_ready(const Backend& backend, Health health) {
  return backend.state == core::AdminState::active && health == Health::up;
}

}  // namespace

double Lifecycle::fill_of(const Filling& filling, Clock::time_point now) {
  const double passed = std::chrono::duration<double>(now - filling.since) / filling.time;
  // The first step is there from the beginning: a backend without any share could never show that it is good.
  return std::min(1.0, (static_cast<int>(passed * kFillSteps) + 1) / static_cast<double>(kFillSteps + 1));
}

double Lifecycle::fill_of(const Service& service, const Backend& backend, Health health,
                          Clock::time_point now) const {
  if (service.slow_start.count() == 0 || !started_ || !is_ready(backend, health)) return 1;
  const auto known = ready_.find(core::key_of(service, backend));
  if (known == ready_.end()) return fill_of(Filling{now, service.slow_start}, now);
  return known->second ? fill_of(*known->second, now) : 1;
}

std::vector<core::Availability> Lifecycle::evaluate(const std::vector<Service>& services,
                                                    const HealthOf& health, Clock::time_point now) const {
  std::vector<core::Availability> result;
  result.reserve(services.size());
  std::vector<core::Condition> conditions;
  for (const Service& service : services) {
    conditions.clear();
    for (const Backend& backend : service.backends) {
      const Health known = health(service, backend);
      conditions.push_back({known, fill_of(service, backend, known, now)});
    }
    result.push_back(core::availability(service, conditions));
  }
  return result;
}

void Lifecycle::adopt(const std::vector<Service>& services, const HealthOf& health, Clock::time_point now) {
  std::map<core::BackendKey, std::optional<Filling>> ready;
  for (const Service& service : services) {
    for (const Backend& backend : service.backends) {
      if (!is_ready(backend, health(service, backend))) continue;
      core::BackendKey key = core::key_of(service, backend);
      std::optional<Filling> filling;
      if (const auto known = ready_.find(key); known != ready_.end()) {
        filling = known->second;
      } else if (started_ && service.slow_start.count() > 0) {
        filling = Filling{now, service.slow_start};
      }
      if (filling && fill_of(*filling, now) >= 1) filling.reset();
      ready.emplace(std::move(key), filling);
    }
  }
  ready_ = std::move(ready);
  started_ = true;
}

std::optional<Lifecycle::Clock::time_point> Lifecycle::next_step(Clock::time_point now) const {
  std::optional<Clock::time_point> next;
  for (const auto& [key, filling] : ready_) {
    if (!filling) continue;
    const auto step = std::chrono::duration_cast<Clock::duration>(filling->time) / kFillSteps;
    const auto due = filling->since + ((now - filling->since) / step + 1) * step;
    if (!next || due < *next) next = due;
  }
  return next;
}

}  // namespace nfsteer::control
