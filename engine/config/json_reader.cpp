#include "config/json_reader.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "config/config.hpp"
#include "config/places.hpp"

namespace nfsteer::config {
namespace {

namespace json = boost::json;

constexpr const char* kBody = "body";

// As a step of the way to a value: on one line and not too long, whatever a client calls its fields.
std::string shown_name(std::string_view name) {
  constexpr std::size_t kNameMax = 60;
  return one_line(name.substr(0, kNameMax)) + (name.size() > kNameMax ? "..." : "");
}

core::Result<RawValue> raw_of(const json::value& value, std::string where);

core::Result<RawValue> children_of(RawValue raw, const json::value& value, const std::string& above) {
  if (const auto* array = value.if_array()) {
    raw.kind = RawValue::Kind::list;
    for (std::size_t i = 0; i < array->size(); ++i) {
      auto child = raw_of((*array)[i], fmt::format("{}[{}]", above, i));
      if (!child) return child;
      raw.children.push_back(*std::move(child));
    }
    return raw;
  }
  raw.kind = RawValue::Kind::map;
  for (const auto& [name, field] : value.get_object()) {
    const std::string step = shown_name(name);
    auto child = raw_of(field, above.empty() ? step : fmt::format("{}.{}", above, step));
    if (!child) return child;
    child->name = name;
    raw.children.push_back(*std::move(child));
  }
  return raw;
}

// `where` is empty on top.
core::Result<RawValue> raw_of(const json::value& value, std::string where) {
  RawValue raw;
  raw.flag = where.empty() ? kBody : where;
  switch (value.kind()) {
    case json::kind::null:
      return raw;
    case json::kind::array:
    case json::kind::object:
      return children_of(std::move(raw), value, where);
    case json::kind::string:
      raw.text = value.get_string();
      break;
    case json::kind::bool_:
      raw.text = value.get_bool() ? "true" : "false";
      break;
    case json::kind::int64:
      raw.text = std::to_string(value.get_int64());
      break;
    case json::kind::uint64:
      raw.text = std::to_string(value.get_uint64());
      break;
    case json::kind::double_:
      return core::usage_error(raw.flag, fmt::format("{} is not a whole number", value.get_double()),
                               "numbers here are whole");
  }
  raw.kind = RawValue::Kind::text;
  return raw;
}

}  // namespace

core::Result<RawValue> read_json(std::string_view text) {
  boost::system::error_code error;
  json::parse_options limits;
  limits.max_depth = kDepthMax;
  const json::value value = json::parse(text, error, {}, limits);
  if (error) return core::usage_error(kBody, "is not JSON: " + error.message(), "send one JSON object");
  return raw_of(value, {});
}

json::value to_json(const core::Service& service) {
  json::array backends;
  backends.reserve(service.backends.size());
  for (const core::Backend& each : service.backends) {
    json::object backend{{"address", each.address.to_string()}};
    if (each.port != 0) backend["port"] = each.port;
    backend["weight"] = each.weight;
    backends.push_back(std::move(backend));
  }
  json::object object{{"name", service.name},
                      {"vip", service.vip.to_string()},
                      {"protocol", core::to_string(service.protocol)}};
  if (service.port != 0) object["port"] = service.port;
  object["mode"] = core::to_string(service.mode);
  object["policy"] = service.policy;
  object["masquerade"] = service.masquerade;
  object["on_no_backend"] = core::to_string(service.on_no_backend);
  object["backends"] = std::move(backends);
  return object;
}

}  // namespace nfsteer::config
