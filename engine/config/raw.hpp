// What a file or the command line says, before anybody asks what it means; and what is written of a
// configuration (config/raw_writer.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nfsteer::config {

struct RawValue {
  enum class Kind : std::uint8_t { nothing, text, map, list };

  Kind kind = Kind::nothing;
  std::uint32_t line = 0;          // in the file, from 1; of a map's field, the line of its name
  std::string flag;                // what errors call the value if it is none of a file: "--vip"
  std::string name;                // of a field in a map
  std::string text;                // of Kind::text
  std::vector<RawValue> children;  // of a map: its fields, in the order given, repeated names included

  // Of values that are written; the readers leave them false.
  bool is_bare = false;     // a number or a truth value, which JSON and YAML have without quotes
  bool is_default = false;  // means the same left out, and may be

  // The field of that name, or null.
  const RawValue* find(std::string_view field) const {
    for (const RawValue& child : children)
      if (child.name == field) return &child;
    return nullptr;
  }
  RawValue* find(std::string_view field) {
    for (RawValue& child : children)
      if (child.name == field) return &child;
    return nullptr;
  }
};

}  // namespace nfsteer::config
