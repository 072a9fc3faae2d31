#include "config/services_edit.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "config/places.hpp"
#include "config/validate.hpp"

namespace nfsteer::config {
namespace {

RawValue make(RawValue::Kind kind, const std::string& flag, std::string name = {}, std::string text = {}) {
  RawValue value;
  value.kind = kind;
  value.flag = flag;
  value.name = std::move(name);
  value.text = std::move(text);
  return value;
}

void add(RawValue& map, std::string name, std::string_view text) {
  map.children.push_back(make(RawValue::Kind::text, map.flag, std::move(name), std::string(text)));
}

RawValue raw_from(const core::Backend& backend, const std::string& flag) {
  RawValue map = make(RawValue::Kind::map, flag);
  add(map, "address", backend.address.to_string());
  if (backend.port != 0) add(map, "port", std::to_string(backend.port));
  add(map, "weight", std::to_string(backend.weight));
  return map;
}

RawValue raw_from(const core::Service& service) {
  const std::string flag = "service " + service.name;
  RawValue map = make(RawValue::Kind::map, flag);
  add(map, "name", service.name);
  add(map, "vip", service.vip.to_string());
  add(map, "protocol", core::to_string(service.protocol));
  if (service.port != 0) add(map, "port", std::to_string(service.port));
  add(map, "mode", core::to_string(service.mode));
  add(map, "policy", service.policy);
  add(map, "masquerade", service.masquerade ? "true" : "false");
  add(map, "on_no_backend", core::to_string(service.on_no_backend));
  RawValue backends = make(RawValue::Kind::list, flag, "backends");
  for (const core::Backend& each : service.backends)
    backends.children.push_back(raw_from(each, flag));
  map.children.push_back(std::move(backends));
  return map;
}

std::string_view text_of(const RawValue& map, std::string_view field) {
  const RawValue* value = map.find(field);
  return value == nullptr ? std::string_view{} : std::string_view(value->text);
}

RawValue* field_of(RawValue& map, std::string_view name) {
  const auto found = std::ranges::find(map.children, name, &RawValue::name);
  return found == map.children.end() ? nullptr : &*found;
}

// ADDR, or ADDR:PORT as the configuration writes it.
std::string endpoint(const RawValue& backend) {
  const std::string_view address = text_of(backend, "address");
  const std::string_view port = text_of(backend, "port");
  if (port.empty()) return std::string(address);
  return address.find(':') == std::string_view::npos ? fmt::format("{}:{}", address, port)
                                                     : fmt::format("[{}]:{}", address, port);
}

}  // namespace

RawValue raw_from(const std::vector<core::Service>& services) {
  RawValue list = make(RawValue::Kind::list, "services", "services");
  list.children.reserve(services.size());
  for (const core::Service& each : services)
    list.children.push_back(raw_from(each));
  return list;
}

RawValue* find_service(RawValue& services, std::string_view name) {
  const auto found = std::ranges::find_if(
      services.children, [&](const RawValue& each) { return text_of(each, "name") == name; });
  return found == services.children.end() ? nullptr : &*found;
}

core::Result<RawValue*> find_backend(RawValue& service, std::string_view backend) {
  const std::string& thing = service.flag;
  const auto address = core::IpAddress::parse(backend);
  const std::string wanted = address ? address->to_string() : std::string(backend);
  std::vector<RawValue*> meant;
  if (RawValue* const backends = field_of(service, "backends"))
    for (RawValue& each : backends->children)
      if (address ? text_of(each, "address") == wanted : endpoint(each) == wanted) meant.push_back(&each);
  if (meant.empty())
    return core::usage_error(thing, fmt::format("has no backend {}", one_line(backend)),
                             "`nfsteer services` lists its backends");
  if (meant.size() > 1)
    return core::usage_error(thing, fmt::format("has several backends on {}", one_line(backend)),
                             fmt::format("name the port too, as in {}", endpoint(*meant.front())));
  return meant.front();
}

void merge(RawValue& map, const RawValue& patch) {
  for (const RawValue& field : patch.children) {
    if (RawValue* const mine = field_of(map, field.name)) {
      *mine = field;
    } else {
      map.children.push_back(field);
    }
  }
}

void erase(RawValue& list, const RawValue& child) {
  list.children.erase(list.children.begin() + (&child - list.children.data()));
}

core::Result<std::vector<core::Service>> validate_services(const RawValue& list,
                                                           std::span<const std::string_view> known_policies) {
  RawValue document = make(RawValue::Kind::map, "body");
  document.children.push_back(list);
  auto config = validate(document, {}, known_policies);
  if (!config) return tl::unexpected(config.error());
  return std::move(config->services);
}

}  // namespace nfsteer::config
