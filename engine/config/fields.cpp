#include "config/fields.hpp"

#include <string>

#include <fmt/format.h>

namespace nfsteer::config {

core::Failure unknown_field(const Place& place, const RawValue& field,
                            const std::vector<std::string_view>& known) {
  const std::string_view near = nearest(field.name, known);
  return place.fail_at(field, fmt::format("unknown field {}", quoted(field.name)),
                       near.empty() ? "the fields here are " + listed(known, "and")
                                    : fmt::format("did you mean \"{}\"?", near));
}

core::Result<void> require(const Place& place, std::string_view field, std::string_view mend) {
  if (place.value().find(field) != nullptr) return {};
  return place.fail(fmt::format("\"{}\" is missing", field), std::string(mend));
}

}  // namespace nfsteer::config
