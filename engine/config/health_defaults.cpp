#include "config/health_defaults.hpp"

#include <algorithm>

namespace nfsteer::config {

core::HealthCheck usual_check(core::CheckType type, core::HealthCheck::Duration interval) {
  constexpr std::uint16_t kPassive = 3;  // connections, where nothing else is looked at
  core::HealthCheck check;
  check.type = type;
  check.interval = interval;
  check.timeout = std::min(check.timeout, interval);
  check.backoff_max = std::max(check.backoff_max, interval);
  if (type == core::CheckType::passive) check.passive = kPassive;
  return check;
}

}  // namespace nfsteer::config
