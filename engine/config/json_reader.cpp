#include "config/json_reader.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "config/config.hpp"
#include "config/places.hpp"
#include "config/raw_writer.hpp"

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

json::value json_of(const RawValue& raw) {
  switch (raw.kind) {
    case RawValue::Kind::nothing:
      return nullptr;
    case RawValue::Kind::text:
      return raw.is_bare ? json::parse(raw.text) : json::value(raw.text);
    case RawValue::Kind::list: {
      json::array list;
      list.reserve(raw.children.size());
      for (const RawValue& each : raw.children)
        list.push_back(json_of(each));
      return list;
    }
    case RawValue::Kind::map: {
      json::object map;
      for (const RawValue& each : raw.children)
        map[each.name] = json_of(each);
      return map;
    }
  }
  return nullptr;
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
  return json_of(without_defaults(raw_of(service)));
}

}  // namespace nfsteer::config
