#include "config/raw_writer.hpp"

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "config/byte_text.hpp"
#include "config/durations.hpp"
#include "config/health_defaults.hpp"

namespace nfsteer::config {
namespace {

using core::CheckType;
using core::HealthCheck;
using Kind = RawValue::Kind;

// Builds a map, field by field. Values know their map's flag, for errors about what becomes of them.
class MapWriter {
 public:
  MapWriter(std::string flag, std::string name) {
    map_.kind = Kind::map;
    map_.flag = std::move(flag);
    map_.name = std::move(name);
  }

  RawValue& add(std::string_view name, Kind kind) {
    RawValue& field = map_.children.emplace_back();
    field.kind = kind;
    field.flag = map_.flag;
    field.name = name;
    return field;
  }
  RawValue& text(std::string_view name, std::string_view value) {
    RawValue& field = add(name, Kind::text);
    field.text = value;
    return field;
  }
  RawValue& number(std::string_view name, std::uint64_t value) {
    RawValue& field = text(name, std::to_string(value));
    field.is_bare = true;
    return field;
  }
  RawValue& truth(std::string_view name, bool value) {
    RawValue& field = text(name, value ? "true" : "false");
    field.is_bare = true;
    return field;
  }
  void add(RawValue field) { map_.children.push_back(std::move(field)); }

  RawValue take() { return std::move(map_); }

 private:
  RawValue map_;
};

RawValue raw_of(const core::Backend& backend, const std::string& flag) {
  const core::Backend usual;
  MapWriter map(flag, {});
  map.text("address", backend.address.to_string());
  if (backend.port != 0) map.number("port", backend.port);
  map.number("weight", backend.weight);
  map.text("state", core::to_string(backend.state)).is_default = backend.state == usual.state;
  map.truth("backup", backend.backup).is_default = backend.backup == usual.backup;
  map.text("data", backend.data).is_default = backend.data.empty();
  return map.take();
}

RawValue raw_of(const core::PolicySpec& spec, const std::string& flag, std::string_view field) {
  MapWriter map(flag, std::string(field));
  if (spec.options.empty()) {
    RawValue name = map.take();
    name.kind = Kind::text;
    name.text = spec.name;
    return name;
  }
  map.text("name", spec.name);
  for (const core::PolicySpec::Option& each : spec.options)
    map.text(each.name, each.value);
  return map.take();
}

RawValue raw_of(const core::Affinity& affinity, const std::string& flag) {
  MapWriter map(flag, "affinity");
  map.text("timeout", duration_text(affinity.timeout));
  map.number("ipv4_prefix", affinity.ipv4_prefix);
  map.number("ipv6_prefix", affinity.ipv6_prefix);
  return map.take();
}

std::string status_text(const HealthCheck& check) {
  return check.status_first == check.status_last
             ? std::to_string(check.status_first)
             : fmt::format("{}-{}", check.status_first, check.status_last);
}

// The fields that only checks of its type have.
void add_own_fields(MapWriter& map, const HealthCheck& check, const HealthCheck& usual) {
  if (check.type == CheckType::http) {
    map.text("path", check.path).is_default = check.path == usual.path;
    if (!check.host.empty()) map.text("host", check.host);
    map.text("status", status_text(check)).is_default = status_text(check) == status_text(usual);
  } else if (check.type == CheckType::udp) {
    map.text("send", text_of_bytes(check.send)).is_default = check.send.empty();
    map.text("expect", text_of_bytes(check.expect)).is_default = check.expect.empty();
  } else if (check.type == CheckType::exec) {
    RawValue& command = map.add("command", Kind::list);
    for (const std::string& each : check.command) {
      RawValue& word = command.children.emplace_back();
      word.kind = Kind::text;
      word.flag = command.flag;
      word.text = each;
    }
  }
}

RawValue raw_of(const HealthCheck& check, const std::string& flag) {
  const HealthCheck usual = usual_check(check.type, check.interval);
  MapWriter map(flag, "health");
  map.text("type", core::to_string(check.type));
  if (check.port != 0) map.number("port", check.port);
  add_own_fields(map, check, usual);
  const auto duration = [&](std::string_view name, HealthCheck::Duration value,
                            HealthCheck::Duration at_rest) {
    map.text(name, duration_text(value)).is_default = value == at_rest;
  };
  const auto number = [&](std::string_view name, std::uint64_t value, std::uint64_t at_rest) {
    map.number(name, value).is_default = value == at_rest;
  };
  duration("interval", check.interval, HealthCheck{}.interval);
  duration("timeout", check.timeout, usual.timeout);
  number("rise", check.rise, usual.rise);
  number("fall", check.fall, usual.fall);
  number("jitter", check.jitter, usual.jitter);
  duration("backoff_max", check.backoff_max, usual.backoff_max);
  number("passive", check.passive, usual.passive);
  number("panic_threshold", check.panic_threshold, usual.panic_threshold);
  return map.take();
}

}  // namespace

RawValue raw_of(const core::Service& service) {
  const core::Service usual;
  const std::string flag = "service " + service.name;
  MapWriter map(flag, {});
  map.text("name", service.name);
  map.text("vip", service.vip.to_string());
  map.text("protocol", core::to_string(service.protocol));
  if (service.port != 0) map.number("port", service.port);
  map.text("mode", core::to_string(service.mode));
  map.add(raw_of(service.policy, flag, "policy"));
  if (service.shadow)
    map.add(raw_of(*service.shadow, flag, "shadow"));
  else
    map.text("shadow", "none").is_default = true;
  map.truth("masquerade", service.masquerade);
  map.text("on_no_backend", core::to_string(service.on_no_backend));
  map.text("on_backend_loss", core::to_string(service.on_backend_loss)).is_default =
      service.on_backend_loss == usual.on_backend_loss;
  map.text("slow_start", duration_text(service.slow_start)).is_default =
      service.slow_start == usual.slow_start;
  if (service.affinity)
    map.add(raw_of(*service.affinity, flag));
  else
    map.text("affinity", "none").is_default = true;
  if (service.health)
    map.add(raw_of(*service.health, flag));
  else
    map.text("health", "none").is_default = true;
  RawValue& backends = map.add("backends", Kind::list);
  backends.children.reserve(service.backends.size());
  for (const core::Backend& each : service.backends)
    backends.children.push_back(raw_of(each, flag));
  return map.take();
}

RawValue raw_of(const Engine& engine) {
  MapWriter map({}, "engine");
  if (engine.queues != 0) map.number("queues", engine.queues);
  map.number("queue_base", engine.queue_base);
  map.number("queue_length", engine.queue_length);
  if (engine.seed) map.number("seed", *engine.seed);
  map.text("control", engine.control);
  if (!engine.control_group.empty()) map.text("control_group", engine.control_group);
  if (engine.listen) map.text("listen", core::endpoint_text(engine.listen->address, engine.listen->port));
  map.truth("watch", engine.watch);
  map.truth("track_connections", engine.track_connections);
  map.text("on_stop", to_string(engine.on_stop));
  if (!engine.user.empty()) map.text("user", engine.user);
  map.text("seccomp", to_string(engine.seccomp));
  map.text("log_level", to_string(engine.log_level));
  map.text("log_format", to_string(engine.log_format));
  return map.take();
}

RawValue without_defaults(RawValue value) {
  std::erase_if(value.children, [](const RawValue& each) { return each.is_default; });
  for (RawValue& each : value.children)
    each = without_defaults(std::move(each));
  return value;
}

std::string on_one_line(const RawValue& value, std::string (*text)(const RawValue& single)) {
  if (value.kind == Kind::nothing || value.kind == Kind::text) return text(value);
  const bool is_map = value.kind == Kind::map;
  std::string line;
  for (const RawValue& each : value.children) {
    if (!line.empty()) line += ", ";
    if (is_map) line += each.name + ": ";
    line += on_one_line(each, text);
  }
  return is_map ? "{" + line + "}" : "[" + line + "]";
}

}  // namespace nfsteer::config
