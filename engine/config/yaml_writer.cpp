#include <string>
#include <string_view>

#include <fmt/format.h>

#include "config/config.hpp"
#include "config/raw_writer.hpp"

namespace nfsteer::config {
namespace {

// Double quotes keep what would be something else without them: a name "null", an IPv6 address, a path with a
// colon. The configuration holds no text with control characters.
std::string yaml_text(const RawValue& single) {
  if (single.is_bare) return single.text;
  std::string quoted = "\"";
  for (const char each : single.text) {
    if (each == '"' || each == '\\') quoted += '\\';
    quoted += each;
  }
  return quoted + '"';
}

// The fields of a map, a line each, behind `indent`; only the first one behind `first_indent`.
void write_fields(std::string& out, const RawValue& map, std::string_view first_indent,
                  std::string_view indent) {
  for (const RawValue& field : map.children) {
    out += &field == map.children.data() ? first_indent : indent;
    out += field.name + ":";
    const bool has_lines = field.name == "backends" && !field.children.empty();
    if (has_lines) {
      for (const RawValue& each : field.children)
        out += fmt::format("\n{}  - {}", indent, on_one_line(each, yaml_text));
    } else {
      out += ' ' + on_one_line(field, yaml_text);
    }
    out += '\n';
  }
}

}  // namespace

std::string to_yaml(const Config& config) {
  std::string text = "engine:\n";
  write_fields(text, raw_of(config.engine), "  ", "  ");
  text += config.services.empty() ? "services: []\n" : "services:\n";
  for (const core::Service& service : config.services)
    write_fields(text, raw_of(service), "  - ", "    ");
  return text;
}

}  // namespace nfsteer::config
