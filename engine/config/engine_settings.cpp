#include "config/engine_settings.hpp"

#include <algorithm>
#include <thread>

#include "core/queue_layout.hpp"

namespace nfsteer::config {

std::string_view to_string(OnStop choice) {
  return choice == OnStop::keep ? "keep" : "remove";
}

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "?";
}

std::string_view to_string(LogFormat format) {
  return format == LogFormat::text ? "text" : "json";
}

std::uint16_t Engine::workers() const {
  if (queues != 0) return queues;
  const unsigned cpus = std::thread::hardware_concurrency();
  return static_cast<std::uint16_t>(std::clamp(cpus, 1U, unsigned{core::kWorkersMax}));
}

}  // namespace nfsteer::config
