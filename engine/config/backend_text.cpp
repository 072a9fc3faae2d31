#include "config/backend_text.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace nfsteer::config {
namespace {

constexpr std::string_view kMend = "write ADDRESS[:PORT][,weight=N], an IPv6 address with a port in brackets";

void add_field(RawValue& map, std::string_view name, std::string_view text) {
  RawValue& field = map.children.emplace_back();
  field.kind = RawValue::Kind::text;
  field.line = map.line;
  field.flag = map.flag;
  field.name = name;
  field.text = text;
}

// "10.0.0.20", "10.0.0.20:80", "fd00::20", "[fd00::20]:80"; false for brackets that do not match.
bool add_address_and_port(RawValue& map, std::string_view text) {
  std::string_view address = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return false;
    address = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (!port.empty() && port.front() != ':') return false;
  } else if (std::ranges::count(text, ':') == 1) {
    address = text.substr(0, text.find(':'));
    port = text.substr(address.size());
  }
  add_field(map, "address", address);
  if (!port.empty()) add_field(map, "port", port.substr(1));
  return true;
}

}  // namespace

core::Result<RawValue> expand_backend(const Place& place) {
  const RawValue& from = place.value();
  RawValue map;
  map.kind = RawValue::Kind::map;
  map.line = from.line;
  map.flag = from.flag;

  std::string_view rest = from.text;
  const std::string_view where = rest.substr(0, rest.find(','));
  if (!add_address_and_port(map, where))
    return place.fail(quoted(where) + " is not a backend", std::string(kMend));
  rest.remove_prefix(where.size());
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the comma
    const std::string_view option = rest.substr(0, rest.find(','));
    const auto equals = option.find('=');
    if (equals == std::string_view::npos)
      return place.fail(fmt::format("{} is not an option of the form NAME=VALUE", quoted(option)),
                        std::string(kMend));
    add_field(map, option.substr(0, equals), option.substr(equals + 1));
    rest.remove_prefix(option.size());
  }
  return map;
}

}  // namespace nfsteer::config
