#include "core/availability.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>

namespace nfsteer::core {
namespace {

// A filling backend takes its part in steps of one of these.
constexpr std::uint64_t kFillParts = 100;

// What the backend would be were it not for panic, and were backups like all others.
BackendState state_of(const Backend& backend, const Condition& condition) {
  if (backend.state == AdminState::maintenance) return BackendState::maintenance;
  if (backend.state == AdminState::drain) return BackendState::draining;
  if (condition.health == Health::down) return BackendState::down;
  if (condition.health == Health::unknown) return BackendState::starting;
  return condition.fill < 1 ? BackendState::filling : BackendState::active;
}

bool takes_connections(BackendState state) {
  return state == BackendState::active || state == BackendState::filling;
}

// Does the operator let it take any? Backends of weight 0 count neither as healthy nor as ill.
bool is_wanted(const Backend& backend) {
  return backend.state == AdminState::active && backend.weight > 0;
}

bool is_panic(const Service& service, std::span<const BackendState> states) {
  if (!service.health || service.health->panic_threshold == 0) return false;
  std::size_t wanted = 0;
  std::size_t healthy = 0;
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (!is_wanted(service.backends[i])) continue;
    ++wanted;
    healthy += takes_connections(states[i]) ? 1 : 0;
  }
  return healthy < wanted && healthy * 100 < wanted * service.health->panic_threshold;
}

}  // namespace

Availability availability(const Service& service, std::span<const Condition> conditions) {
  assert(conditions.size() == service.backends.size());
  Availability result{.backends = service.backends, .states = {}, .panic = false, .on_backup = false};
  const std::size_t count = service.backends.size();
  for (std::size_t i = 0; i < count; ++i)
    result.states.push_back(state_of(service.backends[i], conditions[i]));

  result.panic = is_panic(service, result.states);
  std::vector<bool> usable(count);
  bool has_primary = false;
  bool has_backup = false;
  for (std::size_t i = 0; i < count; ++i) {
    const Backend& backend = service.backends[i];
    usable[i] = is_wanted(backend) && (result.panic || takes_connections(result.states[i]));
    (backend.backup ? has_backup : has_primary) |= usable[i];
  }
  result.on_backup = has_backup && !has_primary;

  std::uint64_t sum = 0;
  bool is_filling = false;
  for (std::size_t i = 0; i < count; ++i) {
    if (service.backends[i].backup && !result.on_backup) {
      usable[i] = false;
      if (takes_connections(result.states[i])) result.states[i] = BackendState::standby;
    }
    if (!usable[i]) continue;
    sum += service.backends[i].weight;
    is_filling |= conditions[i].fill < 1;
  }

  constexpr std::uint64_t kSumMax = std::numeric_limits<std::uint32_t>::max();
  const std::uint64_t parts = is_filling ? std::clamp<std::uint64_t>(kSumMax / sum, 1, kFillParts) : 1;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t& weight = result.backends[i].weight;
    if (!usable[i]) {
      weight = 0;
      continue;
    }
    const double share = static_cast<double>(weight * parts) * std::clamp(conditions[i].fill, 0.0, 1.0);
    weight = std::max(1U, static_cast<std::uint32_t>(std::lround(share)));
  }
  return result;
}

std::string_view to_string(BackendState state) {
  constexpr std::array<std::string_view, kBackendStates> kNames{
      "active", "filling", "draining", "standby", "starting", "down", "maintenance"};
  return kNames[static_cast<std::size_t>(state)];
}

}  // namespace nfsteer::core
