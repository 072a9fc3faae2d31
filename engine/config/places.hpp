// Where a raw value stands, so that an error can name it; and how errors show what the user wrote.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/raw.hpp"
#include "core/result.hpp"

namespace nfsteer::config {

// A value and the way to it.
class Place {
 public:
  // The value on top; `file` is what errors call the source.
  Place(const RawValue& value, std::string_view file) : value_(&value), file_(file) {}

  const RawValue& value() const { return *value_; }
  std::string_view file() const { return file_; }  // empty: the value comes from no file

  // The places below refer to this one: they must not outlive it.
  Place item(std::size_t index) const { return {value_->children[index], *this, index}; }
  // The field of that name; this place itself if it has none.
  Place field(std::string_view name) const;
  Place field(const RawValue& child) const { return {child, *this, 0}; }
  // Another value in the same place.
  Place instead(const RawValue& value) const;

  core::Failure fail(std::string reason, std::string mend) const;
  // The same, about this map, but in the line of one of its fields.
  core::Failure fail_at(const RawValue& field, std::string reason, std::string mend) const;

 private:
  Place(const RawValue& value, const Place& parent, std::size_t index)
      : value_(&value), file_(parent.file_), parent_(&parent), index_(index) {}

  std::string path() const;  // "services[0].backends[1]"

  const RawValue* value_;
  std::string_view file_;
  const Place* parent_ = nullptr;
  std::size_t index_ = 0;
};

// Numbers and plain addresses as they are, everything else in quotes; on one line and not too long, whatever
// it holds.
std::string shown(std::string_view text);
std::string quoted(std::string_view text);
std::string one_line(std::string_view text);  // as long as it is, with control characters as \x0a

// The known name that a misspelt one probably meant; empty if none is near.
std::string_view nearest(std::string_view misspelt, const std::vector<std::string_view>& known);

// "a, b or c"
std::string listed(const std::vector<std::string_view>& names, std::string_view last_joint);

}  // namespace nfsteer::config
