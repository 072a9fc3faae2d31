#include "policy/options.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace nfsteer::policy {
namespace {

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string names_of(std::span<const OptionInfo> infos) {
  std::vector<std::string_view> names;
  for (const OptionInfo& each : infos)
    names.push_back(each.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

Options::Options(std::span<const OptionInfo> infos, const core::PolicySpec& spec) : infos_(infos) {
  for (const OptionInfo& each : infos) {
    const std::string* text = spec.find(each.name);
    values_.push_back(text == nullptr ? each.usual : number_in(*text).value_or(each.usual));
  }
}

std::uint64_t Options::operator[](std::string_view name) const {
  const auto info = std::ranges::find_if(infos_, [&](const OptionInfo& each) { return each.name == name; });
  assert(info != infos_.end());
  return values_[static_cast<std::size_t>(info - infos_.begin())];
}

tl::expected<void, SpecError> check_options(std::span<const OptionInfo> infos, const core::PolicySpec& spec) {
  for (const core::PolicySpec::Option& option : spec.options) {
    const auto fail = [&](std::string reason, std::string mend) {
      return tl::unexpected(SpecError{option.name, std::move(reason), std::move(mend)});
    };
    const auto info =
        std::ranges::find_if(infos, [&](const OptionInfo& each) { return each.name == option.name; });
    if (info == infos.end())
      return fail(fmt::format("the policy {} has no such option", spec.name),
                  infos.empty() ? "it has none" : "it has " + names_of(infos));
    const auto same_name = [&](const core::PolicySpec::Option& each) { return each.name == option.name; };
    if (std::ranges::count_if(spec.options, same_name) > 1) return fail("given twice", "keep one");
    const auto value = number_in(option.value);
    if (!value || *value < info->min || *value > info->max)
      return fail(
          fmt::format("\"{}\" is not a whole number from {} to {}", option.value, info->min, info->max),
          fmt::format("{}; default: {}", info->summary, info->usual));
    if (info->refuse == nullptr) continue;
    if (const std::string_view wrong = info->refuse(*value); !wrong.empty())
      return fail(fmt::format("{} {}", *value, wrong),
                  fmt::format("{}; default: {}", info->summary, info->usual));
  }
  return {};
}

}  // namespace nfsteer::policy
