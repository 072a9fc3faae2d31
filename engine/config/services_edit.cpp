#include "config/services_edit.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "config/places.hpp"
#include "config/raw_writer.hpp"
#include "config/validate.hpp"

namespace nfsteer::config {
namespace {

std::string_view text_of(const RawValue& map, std::string_view field) {
  const RawValue* value = map.find(field);
  return value == nullptr ? std::string_view{} : std::string_view(value->text);
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
  RawValue list;
  list.kind = RawValue::Kind::list;
  list.flag = list.name = "services";
  list.children.reserve(services.size());
  for (const core::Service& each : services)
    list.children.push_back(without_defaults(raw_of(each)));
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
  if (RawValue* const backends = service.find("backends"))
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
    RawValue* const mine = map.find(field.name);
    if (field.kind == RawValue::Kind::nothing) {
      if (mine != nullptr) erase(map, *mine);
    } else if (mine != nullptr) {
      *mine = field;
    } else {
      map.children.push_back(field);
    }
  }
}

void erase(RawValue& from, const RawValue& child) {
  from.children.erase(from.children.begin() + (&child - from.children.data()));
}

core::Result<std::vector<core::Service>> validate_services(const RawValue& list) {
  RawValue document;
  document.kind = RawValue::Kind::map;
  document.flag = "body";
  document.children.push_back(list);
  auto config = validate(document, {});
  if (!config) return tl::unexpected(config.error());
  return std::move(config->services);
}

}  // namespace nfsteer::config
