// What the log says of backends' health: a line for each change, unless a flapping pool of thousands would
// flood it. Lines go to spdlog's default logger.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/backend_key.hpp"
#include "core/health_check.hpp"
#include "core/rate_limit.hpp"

namespace nfsteer::health {

class HealthLog {
 public:
  using TimePoint = core::RateLimit::Clock::time_point;

  explicit HealthLog(std::uint32_t lines_max) : limit_(lines_max, std::chrono::seconds(1)) {}

  void changed(const core::BackendKey& key, core::Health health, const std::string& detail, TimePoint now);
  // A check could not be made for want of something on this host.
  void undecided(const core::BackendKey& key, const std::string& detail, TimePoint now);

  // At summary_due() or later: how many lines were left out.
  TimePoint summary_due() const { return limit_.tell_at(); }
  void summarize();

 private:
  core::RateLimit limit_;  // of a second
};

}  // namespace nfsteer::health
