#include "config/flags.hpp"

#include "config/places.hpp"

namespace nfsteer::config {
namespace {

// Errors about the whole, rather than about one flag, are about this.
constexpr const char* kCommandLine = "command line";

RawValue make(RawValue::Kind kind, std::string name) {
  RawValue value;
  value.kind = kind;
  value.flag = kCommandLine;
  value.name = std::move(name);
  return value;
}

void add_text(RawValue& map, const char* name, std::string flag, const std::optional<std::string>& text) {
  if (!text) return;
  RawValue& field = map.children.emplace_back(make(RawValue::Kind::text, name));
  field.flag = std::move(flag);
  field.text = *text;
}

}  // namespace

RawValue raw_from(const ServiceFlags& flags) {
  RawValue backends = make(RawValue::Kind::list, "backends");
  for (const std::string& text : flags.backends) {
    RawValue& backend = backends.children.emplace_back(make(RawValue::Kind::text, {}));
    backend.flag = "--backend " + shown(text);  // there are many: say which one
    backend.text = text;
  }

  RawValue service = make(RawValue::Kind::map, {});
  add_text(service, "name", "--name", flags.name);
  add_text(service, "vip", "--vip", flags.vip);
  add_text(service, "protocol", "--protocol", flags.protocol);
  add_text(service, "port", "--port", flags.port);
  add_text(service, "mode", "--mode", flags.mode);
  add_text(service, "policy", "--policy", flags.policy);
  add_text(service, "shadow", "--shadow", flags.shadow);
  add_text(service, "masquerade", "--masquerade", flags.masquerade ? "true" : "false");
  add_text(service, "on_no_backend", "--on-no-backend", flags.on_no_backend);
  add_text(service, "affinity", "--affinity", flags.affinity);
  add_text(service, "health", "--health", flags.health);
  service.children.push_back(std::move(backends));

  RawValue services = make(RawValue::Kind::list, "services");
  services.children.push_back(std::move(service));
  RawValue document = make(RawValue::Kind::map, {});
  document.children.push_back(std::move(services));
  return document;
}

RawValue raw_from(const EngineFlags& flags) {
  RawValue engine = make(RawValue::Kind::map, "engine");
  add_text(engine, "queues", "--queues", flags.queues);
  add_text(engine, "queue_base", "--queue-base", flags.queue_base);
  add_text(engine, "queue_length", "--queue-length", flags.queue_length);
  add_text(engine, "seed", "--seed", flags.seed);
  add_text(engine, "control", "--control", flags.control);
  add_text(engine, "control_group", "--control-group", flags.control_group);
  add_text(engine, "listen", "--listen", flags.listen);
  if (flags.watch) add_text(engine, "watch", "--watch", "true");
  if (flags.no_track_connections) add_text(engine, "track_connections", "--no-track-connections", "false");
  add_text(engine, "on_stop", "--on-stop", flags.on_stop);
  add_text(engine, "user", "--user", flags.user);
  add_text(engine, "seccomp", "--seccomp", flags.seccomp);
  add_text(engine, "log_level", "--log-level", flags.log_level);
  add_text(engine, "log_format", "--log-format", flags.log_format);
  return engine;
}

}  // namespace nfsteer::config
