// What a file or the command line says, before anybody asks what it means.
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

  // The field of that name, or null.
  const RawValue* find(std::string_view field) const {
    for (const RawValue& child : children)
      if (child.name == field) return &child;
    return nullptr;
  }
};

}  // namespace nfsteer::config
