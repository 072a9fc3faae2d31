// Maps to structs: a table says which fields a map may have and how each is read. For the validator's parts
// (config/validate_*.cpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "config/places.hpp"
#include "config/raw.hpp"
#include "config/readers.hpp"
#include "core/result.hpp"

namespace nfsteer::config {

// A field of a map that becomes a T: its name, and how its value gets into the T.
template <typename T>
struct Field {
  std::string_view name;
  core::Result<void> (*read)(const Place& place, T& into);
};

template <typename T, typename From>
core::Result<void> store(core::Result<From> from, T& into) {
  if (!from) return tl::unexpected(from.error());
  into = static_cast<T>(*std::move(from));
  return {};
}

template <typename T, std::size_t N>
std::vector<std::string_view> names_of(const Field<T> (&fields)[N]) {
  std::vector<std::string_view> names;
  for (const Field<T>& each : fields)
    names.push_back(each.name);
  return names;
}

// What is wrong with a field of the map at `place` that is none of `known`.
core::Failure unknown_field(const Place& place, const RawValue& field,
                            const std::vector<std::string_view>& known);

// Fails if the map has no such field.
core::Result<void> require(const Place& place, std::string_view field, std::string_view mend);

// The fields of the map at `place`, in the order in which they are written there.
template <typename T, std::size_t N>
core::Result<void> read_fields(const Place& place, const Field<T> (&fields)[N], T& into,
                               std::string_view mend) {
  if (auto map = expect_map(place, mend); !map) return map;
  const RawValue* given[N] = {};
  for (const RawValue& value : place.value().children) {
    const auto field = std::find_if(std::begin(fields), std::end(fields),
                                    [&](const Field<T>& each) { return each.name == value.name; });
    if (field == std::end(fields)) return unknown_field(place, value, names_of(fields));
    const RawValue*& first = given[field - std::begin(fields)];
    if (first != nullptr) return place.fail_at(value, "\"" + value.name + "\" is given twice", "keep one");
    first = &value;
    if (auto read = field->read(place.field(value), into); !read) return read;
  }
  return {};
}

}  // namespace nfsteer::config
