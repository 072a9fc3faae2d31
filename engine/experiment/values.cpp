#include "experiment/values.hpp"

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "config/fields.hpp"
#include "config/readers.hpp"

namespace nfsteer::experiment {
namespace {

using config::Place;
using config::RawValue;
using core::Result;
using lab::Distribution;
using lab::Nanoseconds;
using lab::Shape;

constexpr std::string_view kTimeMend = "write it as in 5ms: a number and ns, us, ms, s, m or h";
constexpr double kBytesMax = 1e15;

struct Unit {
  std::string_view name;
  double length;  // nanoseconds
};
constexpr Unit kUnits[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};

// A number without sign or exponent that fills `text` but for what is left in `rest`.
std::optional<double> fraction_of(std::string_view text, std::string_view& rest) {
  const auto end = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  const auto [stop, error] =
      std::from_chars(text.data(), text.data() + end, number, std::chars_format::fixed);
  if (error != std::errc() || stop != text.data() + end) return {};
  rest = text.substr(end);
  return number;
}

std::string time_text(Nanoseconds time) {
  for (std::size_t i = std::size(kUnits); i-- > 0;) {
    const auto length = static_cast<Nanoseconds>(kUnits[i].length);
    if (time >= length && time % length == 0) return fmt::format("{}{}", time / length, kUnits[i].name);
  }
  return "0s";
}

// What a distribution's map says, before it is known what it needs.
struct Parts {
  Distribution distribution;
  bool of_bytes = false;
};

Result<void> read_mean(const Place& place, Parts& parts) {
  if (parts.of_bytes)
    return config::store(read_decimal(place, 0, kBytesMax, "write the mean in bytes"),
                         parts.distribution.mean);
  return config::store(read_time(place, 0, kTimeMax, "write the mean"), parts.distribution.mean);
}

constexpr config::Field<Parts> kFields[] = {
    {"shape",
     [](const Place& place, Parts& parts) {
       return config::store(
           config::read_choice(place, {Shape::constant, Shape::exponential, Shape::lognormal, Shape::pareto}),
           parts.distribution.shape);
     }},
    {"mean", read_mean},
    {"sigma",
     [](const Place& place, Parts& parts) {
       return config::store(read_decimal(place, 0, 10, "write the standard deviation of the logarithm"),
                            parts.distribution.form);
     }},
    {"alpha",
     [](const Place& place, Parts& parts) {
       return config::store(
           read_decimal(place, 1.001, 1000, "write the exponent of the tail; without a mean at 1 and below"),
           parts.distribution.form);
     }},
};

// The map that "pareto,mean=10ms,alpha=1.5" stands for.
Result<RawValue> expand(const Place& place, std::string_view text) {
  RawValue map = place.value();
  map.kind = RawValue::Kind::map;
  map.text.clear();
  const auto add = [&](std::string_view name, std::string_view value) {
    RawValue& field = map.children.emplace_back();
    field.kind = RawValue::Kind::text;
    field.line = map.line;
    field.flag = map.flag;
    field.name = name;
    field.text = value;
  };
  const std::string_view shape = text.substr(0, text.find(','));
  add("shape", shape);
  text.remove_prefix(shape.size());
  while (!text.empty()) {
    text.remove_prefix(1);  // the comma
    const std::string_view option = text.substr(0, text.find(','));
    const auto equals = option.find('=');
    if (equals == option.npos)
      return place.fail(fmt::format("{} is not of the form NAME=VALUE", config::quoted(option)),
                        "write SHAPE,mean=MEAN and sigma= or alpha= where the shape has it");
    add(option.substr(0, equals), option.substr(equals + 1));
    text.remove_prefix(option.size());
  }
  return map;
}

Result<Distribution> read_map(const Place& place, bool of_bytes) {
  Parts parts;
  parts.of_bytes = of_bytes;
  if (auto read = config::read_fields(place, kFields, parts, "write a mean, or a map with shape and mean");
      !read)
    return tl::unexpected(read.error());
  for (const std::string_view needed : {"shape", "mean"})
    if (auto has = config::require(place, needed, fmt::format("add {}", needed)); !has)
      return tl::unexpected(has.error());
  const Shape shape = parts.distribution.shape;
  const std::string_view own = shape == Shape::lognormal ? "sigma" : shape == Shape::pareto ? "alpha" : "";
  if (!own.empty())
    if (auto has = config::require(place, own,
                                   fmt::format("add {}, which the shape {} needs", own, to_string(shape)));
        !has)
      return tl::unexpected(has.error());
  for (const std::string_view other : {"sigma", "alpha"})
    if (const RawValue* field = place.value().find(other); field != nullptr && other != own)
      return place.field(*field).fail(fmt::format("the shape {} has no {}", to_string(shape), other),
                                      "leave it out, or change the shape");
  return parts.distribution;
}

// A mean alone.
bool is_bare(const Place& place) {
  return place.value().kind == RawValue::Kind::text && place.value().text.find(',') == std::string::npos;
}

Result<Distribution> read_parts(const Place& place, bool of_bytes) {
  if (place.value().kind != RawValue::Kind::text) return read_map(place, of_bytes);
  const auto map = expand(place, place.value().text);
  if (!map) return tl::unexpected(map.error());
  return read_map(place.instead(*map), of_bytes);
}

}  // namespace

Result<double> read_decimal(const Place& place, double min, double max, std::string_view mend) {
  const auto text = config::read_text(place, mend);
  if (!text) return tl::unexpected(text.error());
  std::string_view rest;
  const auto number = fraction_of(*text, rest);
  if (!number || !rest.empty() || *number < min || *number > max)
    return place.fail(fmt::format("{} is not a number from {} to {}", config::shown(*text), min, max),
                      std::string(mend));
  return *number;
}

Result<Nanoseconds> read_time(const Place& place, Nanoseconds min, Nanoseconds max, std::string_view mend) {
  const auto text = config::read_text(place, mend);
  if (!text) return tl::unexpected(text.error());
  std::string_view rest;
  const auto number = fraction_of(*text, rest);
  if (number && rest.empty() && *number > 0)
    return place.fail(fmt::format("{} has no unit", config::shown(*text)), std::string(kTimeMend));
  double length = rest.empty() ? 1 : 0;  // zero needs no unit
  for (const Unit& each : kUnits)
    if (rest == each.name) length = each.length;
  if (!number || length == 0)
    return place.fail(fmt::format("{} is not a time", config::quoted(*text)), std::string(kTimeMend));
  const double time = *number * length;
  if (time < static_cast<double>(min) || time > static_cast<double>(max))
    return place.fail(
        fmt::format("{} is not from {} to {}", config::one_line(*text), time_text(min), time_text(max)),
        std::string(mend));
  return static_cast<Nanoseconds>(std::llround(time));
}

Result<Distribution> read_times(const Place& place, Shape usual) {
  if (!is_bare(place)) return read_parts(place, false);
  const auto mean = read_time(place, 0, kTimeMax, "write the mean");
  if (!mean) return tl::unexpected(mean.error());
  return Distribution{usual, static_cast<double>(*mean), 0};
}

Result<Distribution> read_sizes(const Place& place) {
  if (!is_bare(place)) return read_parts(place, true);
  const auto mean = read_decimal(place, 0, kBytesMax, "write the mean in bytes");
  if (!mean) return tl::unexpected(mean.error());
  return Distribution{Shape::constant, *mean, 0};
}

}  // namespace nfsteer::experiment
