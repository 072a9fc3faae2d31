#include "health/health_log.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nfsteer::health {
namespace {

std::string name_of(const core::BackendKey& key) {
  return fmt::format("backend {} of {}", core::endpoint_text(key.address, key.port), key.service);
}

}  // namespace

void HealthLog::changed(const core::BackendKey& key, core::Health health, const std::string& detail,
                        TimePoint now) {
  if (!limit_.allow(now)) return;
  const auto level = health == core::Health::up ? spdlog::level::info : spdlog::level::warn;
  spdlog::log(level, "{} is {}: {}", name_of(key), core::to_string(health), detail);
}

void HealthLog::undecided(const core::BackendKey& key, const std::string& detail, TimePoint now) {
  if (limit_.allow(now)) spdlog::warn("{} could not be checked: {}", name_of(key), detail);
}

void HealthLog::summarize() {
  const auto count = limit_.take_suppressed();
  spdlog::warn("{} more line{} about backends' health left out", count, count == 1 ? "" : "s");
}

}  // namespace nfsteer::health
