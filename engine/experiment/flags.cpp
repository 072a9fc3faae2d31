// Flags as values of a document, each called by its flag.
#include <utility>

#include <fmt/format.h>

#include "config/places.hpp"
#include "experiment/experiment.hpp"

namespace nfsteer::experiment {
namespace {

using config::RawValue;
using Kind = RawValue::Kind;

RawValue make(Kind kind, std::string name, std::string flag) {
  RawValue value;
  value.kind = kind;
  value.name = std::move(name);
  value.flag = std::move(flag);
  return value;
}

void replace(RawValue& map, RawValue value) {
  if (RawValue* given = map.find(value.name); given != nullptr)
    *given = std::move(value);
  else
    map.children.push_back(std::move(value));
}

void put(RawValue& map, const char* name, const char* flag, const std::optional<std::string>& text) {
  if (!text) return;
  RawValue value = make(Kind::text, name, flag);
  value.text = *text;
  replace(map, std::move(value));
}

void put_list(RawValue& map, const char* name, const char* flag, const std::vector<std::string>& texts) {
  if (texts.empty()) return;
  RawValue list = make(Kind::list, name, flag);
  for (const std::string& text : texts) {
    RawValue& item = list.children.emplace_back(make(Kind::text, {}, flag));
    if (texts.size() > 1) item.flag = fmt::format("{} {}", flag, config::shown(text));  // say which one
    item.text = text;
  }
  replace(map, std::move(list));
}

// The map of that name; a value that is no map stays for the reader to refuse.
RawValue& map_in(RawValue& document, const char* name) {
  if (RawValue* given = document.find(name); given != nullptr) return *given;
  return document.children.emplace_back(make(Kind::map, name, "command line"));
}

}  // namespace

void apply_flags(const Flags& flags, RawValue& document) {
  put_list(document, "policies", "--policy", flags.policies);
  put(document, "backends", "--servers", flags.servers);
  put_list(document, "backends", "--backend", flags.backends);
  put(document, "vip", "--vip", flags.vip);
  put(document, "port", "--port", flags.port);
  put(document, "protocol", "--protocol", flags.protocol);
  put(document, "seed", "--seed", flags.seed);
  put(document, "warmup", "--warmup", flags.warmup);
  put(document, "probes", "--probes", flags.probes);
  if (flags.decisions_only) put(document, "decisions_only", "--decisions-only", "true");
  if (flags.arrivals || flags.rate || flags.duration || flags.flows || flags.service_time || flags.clients ||
      flags.skew) {
    RawValue& workload = map_in(document, "workload");
    put(workload, "arrivals", "--arrivals", flags.arrivals);
    put(workload, "rate", "--rate", flags.rate);
    put(workload, "duration", "--duration", flags.duration);
    put(workload, "flows", "--flows", flags.flows);
    put(workload, "service_time", "--service-time", flags.service_time);
    put(workload, "clients", "--clients", flags.clients);
    put(workload, "skew", "--skew", flags.skew);
  }
  if (flags.concurrency || flags.rtt) {
    RawValue& server = map_in(document, "server");
    put(server, "concurrency", "--concurrency", flags.concurrency);
    put(server, "rtt", "--rtt", flags.rtt);
  }
}

}  // namespace nfsteer::experiment
