// What time does to backends: those that come, or come back, take a growing share of new connections for as
// long as Service::slow_start says. Pure but for what it remembers: the clock is an argument.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/availability.hpp"
#include "core/backend_key.hpp"
#include "core/service.hpp"

namespace nfsteer::control {

class Lifecycle {
 public:
  using Clock = std::chrono::steady_clock;
  using HealthOf = std::function<core::Health(const core::Service&, const core::Backend&)>;

  // A filling backend's share grows in so many equal steps, each a change of the rules.
  static constexpr int kFillSteps = 10;

  // The availability of each service now. Changes nothing: what follows is only remembered by adopt().
  std::vector<core::Availability> evaluate(const std::vector<core::Service>& services, const HealthOf& health,
                                           Clock::time_point now) const;

  // The services as they are from now on. Backends that could take no connections the last time, or were not
  // there, begin to fill; the first time nobody does, since an engine that starts takes over what runs.
  void adopt(const std::vector<core::Service>& services, const HealthOf& health, Clock::time_point now);

  // When evaluate() will give something else, if nothing but time changes.
  std::optional<Clock::time_point> next_step(Clock::time_point now) const;

 private:
  struct Filling {
    Clock::time_point since;
    std::chrono::seconds time;
  };
  // How far it is: 1 where it takes its whole share.
  static double fill_of(const Filling& filling, Clock::time_point now);
  double fill_of(const core::Service& service, const core::Backend& backend, core::Health health,
                 Clock::time_point now) const;

  bool started_ = false;
  // The backends that can take connections; those that fill, since when.
  std::map<core::BackendKey, std::optional<Filling>> ready_;
};

}  // namespace nfsteer::control
