// What the log says of backends' health: a line for each change, unless a flapping pool of thousands would
// flood it. Lines go to spdlog's default logger.
#pragma once

#include <chrono>
#include <string>

#include "core/backend_key.hpp"
#include "core/health_check.hpp"
#include "health/log_budget.hpp"

namespace nfsteer::health {

class HealthLog {
 public:
  using TimePoint = LogBudget::TimePoint;

  explicit HealthLog(std::uint32_t lines_max) : budget_(lines_max) {}

  void changed(const core::BackendKey& key, core::Health health, const std::string& detail, TimePoint now);
  // A check could not be made for want of something on this host.
  void undecided(const core::BackendKey& key, const std::string& detail, TimePoint now);

  // At summary_due() or later: how many lines were left out.
  TimePoint summary_due() const { return budget_.summary_due(); }
  void summarize();

 private:
  LogBudget budget_;
};

}  // namespace nfsteer::health
