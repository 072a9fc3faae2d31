#include "config/places.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace nfsteer::config {
namespace {

constexpr std::size_t kShownMax = 60;  // characters of a value that an error repeats

// Levenshtein's distance: how many letters to insert, delete or replace.
std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string Place::path() const {
  if (parent_ == nullptr) return {};
  const std::string up = parent_->path();
  if (parent_->value_->kind == RawValue::Kind::list) return fmt::format("{}[{}]", up, index_);
  return up.empty() ? value_->name : fmt::format("{}.{}", up, value_->name);
}

Place Place::field(std::string_view name) const {
  const RawValue* child = value_->find(name);
  return child != nullptr ? field(*child) : *this;
}

Place Place::instead(const RawValue& value) const {
  Place place = *this;
  place.value_ = &value;
  return place;
}

core::Failure Place::fail(std::string reason, std::string mend) const {
  return fail_at(*value_, std::move(reason), std::move(mend));
}

core::Failure Place::fail_at(const RawValue& field, std::string reason, std::string mend) const {
  if (!field.flag.empty()) return core::usage_error(field.flag, std::move(reason), std::move(mend));
  std::string thing = fmt::format("{}:{}", file_, field.line);
  if (const std::string where = path(); !where.empty()) thing += ": " + where;
  return core::usage_error(std::move(thing), std::move(reason), std::move(mend));
}

std::string one_line(std::string_view text) {
  std::string line;
  for (const char each : text) {
    const auto byte = static_cast<unsigned char>(each);
    if (byte < 0x20 || byte == 0x7f)
      line += fmt::format("\\x{:02x}", byte);
    else
      line += each;
  }
  return line;
}

std::string quoted(std::string_view text) {
  return fmt::format("\"{}{}\"", one_line(text.substr(0, kShownMax)), text.size() > kShownMax ? "..." : "");
}

std::string shown(std::string_view text) {
  const bool is_plain = !text.empty() && text.size() <= kShownMax &&
                        text.find_first_not_of("0123456789.:+-abcdefABCDEF") == std::string_view::npos &&
                        text.find_first_of("0123456789:") != std::string_view::npos;
  return is_plain ? std::string(text) : quoted(text);
}

std::string_view nearest(std::string_view misspelt, const std::vector<std::string_view>& known) {
  constexpr std::size_t kDistanceMax = 2;
  std::string_view best;
  std::size_t best_distance = kDistanceMax + 1;
  for (const std::string_view name : known) {
    if (misspelt.size() > name.size() + kDistanceMax) continue;
    const std::size_t away = distance(misspelt, name);
    // Of a name of three letters, two changed ones leave nothing to recognize.
    if (away >= best_distance || away * 2 > name.size()) continue;
    best = name;
    best_distance = away;
  }
  return best;
}

std::string listed(const std::vector<std::string_view>& names, std::string_view last_joint) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? fmt::format(" {} ", last_joint) : ", ";
    text += names[i];
  }
  return text;
}

}  // namespace nfsteer::config
