#include <iterator>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "config/config.hpp"

namespace nfsteer::config {
namespace {

// Double quotes keep what would be something else without them: a name "null", an IPv6 address, a path with a
// colon. The configuration holds no text with control characters.
std::string quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char each : text) {
    if (each == '"' || each == '\\') quoted += '\\';
    quoted += each;
  }
  return quoted + '"';
}

using Output = std::back_insert_iterator<std::string>;

void write(Output out, const Engine& engine) {
  fmt::format_to(out, "engine:\n");
  if (engine.queues != 0) fmt::format_to(out, "  queues: {}\n", engine.queues);
  fmt::format_to(out, "  queue_base: {}\n  queue_length: {}\n", engine.queue_base, engine.queue_length);
  if (engine.seed) fmt::format_to(out, "  seed: {}\n", *engine.seed);
  fmt::format_to(out, "  control: {}\n  on_stop: {}\n", quote(engine.control), to_string(engine.on_stop));
}

void write(Output out, const core::Service& service) {
  fmt::format_to(out, "  - name: {}\n    vip: {}\n    protocol: {}\n", quote(service.name),
                 quote(service.vip.to_string()), to_string(service.protocol));
  if (service.port != 0) fmt::format_to(out, "    port: {}\n", service.port);
  fmt::format_to(out, "    mode: {}\n    policy: {}\n    masquerade: {}\n    on_no_backend: {}\n",
                 to_string(service.mode), quote(service.policy), service.masquerade,
                 to_string(service.on_no_backend));
  fmt::format_to(out, "    backends:{}\n", service.backends.empty() ? " []" : "");
  for (const core::Backend& backend : service.backends) {
    fmt::format_to(out, "      - {{address: {}", quote(backend.address.to_string()));
    if (backend.port != 0) fmt::format_to(out, ", port: {}", backend.port);
    fmt::format_to(out, ", weight: {}}}\n", backend.weight);
  }
}

}  // namespace

std::string to_yaml(const Config& config) {
  std::string text;
  const Output out = std::back_inserter(text);
  write(out, config.engine);
  fmt::format_to(out, "services:{}\n", config.services.empty() ? " []" : "");
  for (const core::Service& service : config.services)
    write(out, service);
  return text;
}

}  // namespace nfsteer::config
