#include "config/durations.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include <fmt/format.h>

#include "config/readers.hpp"

namespace nfsteer::config {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  milliseconds length;
};
constexpr Unit kUnits[] = {{"h", std::chrono::hours(1)},
                           {"m", std::chrono::minutes(1)},
                           {"s", std::chrono::seconds(1)},
                           {"ms", milliseconds(1)}};

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

// The largest duration there is for a number that is too large for one.
std::optional<milliseconds> parse(std::string_view text) {
  const std::string_view digits = text.substr(0, text.find_first_not_of("0123456789"));
  // A leading zero is refused, as it is in numbers.
  if (digits.empty() || (digits.size() > 1 && digits.front() == '0')) return std::nullopt;
  for (const auto& [name, length] : kUnits) {
    if (text.substr(digits.size()) != name) continue;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || number > milliseconds::max() / length) return milliseconds::max();
    return number * length;
  }
  return std::nullopt;
}

}  // namespace

core::Result<milliseconds> read_duration(const Place& place, milliseconds min, milliseconds max,
                                         std::string_view mend) {
  const auto text = read_text(place, mend);
  if (!text) return tl::unexpected(text.error());
  if (is_digits(*text))
    return place.fail(fmt::format("{} has no unit", shown(*text)), "write it with ms, s, m or h, as in 5s");
  const auto duration = parse(*text);
  if (!duration)
    return place.fail(fmt::format("{} is not a duration", quoted(*text)),
                      "write it as in 5s: a whole number and ms, s, m or h");
  if (*duration < min || *duration > max)
    return place.fail(
        fmt::format("{} is not from {} to {}", one_line(*text), duration_text(min), duration_text(max)),
        std::string(mend));
  return *duration;
}

core::Result<std::chrono::seconds> read_seconds(const Place& place, std::chrono::seconds min,
                                                std::chrono::seconds max, std::string_view mend) {
  const auto duration = read_duration(place, min, max, mend);
  if (!duration) return tl::unexpected(duration.error());
  if (*duration % std::chrono::seconds(1) != milliseconds::zero())
    return place.fail(fmt::format("{} is not a whole number of seconds", place.value().text),
                      std::string(mend));
  return std::chrono::duration_cast<std::chrono::seconds>(*duration);
}

std::string duration_text(milliseconds duration) {
  if (duration == milliseconds::zero()) return "0s";
  const auto unit = std::ranges::find_if(
      kUnits, [&](const Unit& each) { return duration % each.length == milliseconds::zero(); });
  return fmt::format("{}{}", duration / unit->length, unit->name);
}

}  // namespace nfsteer::config
