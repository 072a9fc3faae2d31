// Which backends of a service may take new connections now, and how large a share: from what is configured,
// what health checks say, and how long a backend has been back. Pure.
//
// The outcome is a list of backends like the configured one, whose weights say it all: policies and rules
// know nothing of health, draining or slow start.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/health_check.hpp"
#include "core/service.hpp"

namespace nfsteer::core {

// Where a backend is in its life.
enum class BackendState : std::uint8_t {
  active,       // takes its share
  filling,      // takes a growing part of its share (Service::slow_start)
  draining,     // takes nothing new; its open connections go on
  standby,      // a backup that is not needed
  starting,     // new, no check has ended yet: takes nothing
  down,         // the checks say so: takes nothing
  maintenance,  // takes nothing, is not checked
};
inline constexpr std::size_t kBackendStates = 7;

// What is known of a backend beside its configuration.
struct Condition {
  Health health = Health::up;
  double fill = 1;  // part of its share that it may take, above 0 and up to 1
};

struct Availability {
  std::vector<Backend> backends;     // as configured but for the weights: 0 where nothing may be taken
  std::vector<BackendState> states;  // of each
  bool panic = false;                // too few are healthy (HealthCheck::panic_threshold): all are used
  bool on_backup = false;            // the backups are used, for want of others
};

// `conditions`: one for each backend, in order.
//
// Backups are used while no other backend can be. In panic, health does not count; what the operator has set
// does. Where a backend is filling, all weights of the service are multiplied by the same number, so that its
// part can be told in whole numbers; their sum stays below 2^32.
Availability availability(const Service& service, std::span<const Condition> conditions);

std::string_view to_string(BackendState state);

}  // namespace nfsteer::core
