// What a health check is like where nothing is said about it.
#pragma once

#include "core/health_check.hpp"

namespace nfsteer::config {

// Of that type and interval. The defaults of the other fields follow the interval: a check ends before the
// next one begins, and the back-off does not shorten it.
core::HealthCheck usual_check(core::CheckType type, core::HealthCheck::Duration interval);

}  // namespace nfsteer::config
