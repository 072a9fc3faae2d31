#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "config/validate_parts.hpp"
#include "policy/catalogue.hpp"

namespace nfsteer::config {
namespace {

using core::PolicySpec;
using core::Result;

constexpr std::string_view kMend = "write NAME[,OPTION=VALUE...], or a map with name and the options";

// The options of a map: every field but `name`. What they may be is the policy's to say.
Result<PolicySpec> read_map(const Place& place) {
  PolicySpec spec;
  if (auto has = require(place, "name", "add name: POLICY"); !has) return tl::unexpected(has.error());
  for (const RawValue& field : place.value().children) {
    const auto text = read_text(place.field(field), "write a single value");
    if (!text) return tl::unexpected(text.error());
    if (field.name == "name")
      spec.name = *text;
    else
      spec.options.push_back({field.name, std::string(*text)});
  }
  return spec;
}

Result<PolicySpec> read_short_form(const Place& place) {
  const auto text = read_text(place, kMend);
  if (!text) return tl::unexpected(text.error());
  auto spec = core::parse_policy_spec(*text);
  if (!spec)
    return place.fail(fmt::format("{} has an option without a value", config::quoted(*text)),
                      std::string(kMend));
  // A map can say neither: no field twice, and `name` is the policy's.
  for (auto each = spec->options.begin(); each != spec->options.end(); ++each) {
    if (each->name.empty() || each->name == "name")
      return place.fail(fmt::format("option {} has no name of an option", config::quoted(each->name)),
                        std::string(kMend));
    const auto again = std::find_if(spec->options.begin(), each, [&](const PolicySpec::Option& other) {
      return other.name == each->name;
    });
    if (again != each)
      return place.fail(fmt::format("option {} is given twice", config::quoted(each->name)),
                        "give each option once");
  }
  return *std::move(spec);
}

// A file's name is kept absolute, since the engine has a working directory of its own.
Result<void> make_absolute(const Place& place, std::string& name) {
  const std::filesystem::path given(name);
  if (given.is_absolute()) return {};
  const bool is_typed = place.value().flag.starts_with("--");
  if (!is_typed && place.file().empty())
    return place.fail(fmt::format("{} is not an absolute path", config::quoted(name)),
                      "name the file from the root directory on");
  const std::filesystem::path beside = std::filesystem::path(place.file()).parent_path();
  std::error_code failed;
  const auto whole = std::filesystem::absolute(is_typed ? given : beside / given, failed);
  if (failed)
    return place.fail(fmt::format("the current directory is not known: {}", failed.message()),
                      "name the file from the root directory on");
  name = whole.lexically_normal().string();
  return {};
}

}  // namespace

Result<PolicySpec> read_policy_spec(const Place& place) {
  auto spec = place.value().kind == RawValue::Kind::map ? read_map(place) : read_short_form(place);
  if (!spec) return spec;
  if (core::is_policy_file(spec->name))
    if (auto made = make_absolute(place, spec->name); !made) return tl::unexpected(made.error());
  auto checked = policy::check(*std::move(spec));
  if (checked) return *std::move(checked);
  const policy::SpecError& wrong = checked.error();
  if (wrong.option.empty()) return place.fail(one_line(wrong.reason), wrong.mend);
  return place.field(wrong.option)
      .fail(one_line(place.value().kind == RawValue::Kind::map
                         ? wrong.reason
                         : fmt::format("option {}: {}", wrong.option, wrong.reason)),
            wrong.mend);
}

Result<void> read_policy(const Place& place, core::Service& service) {
  return store(read_policy_spec(place), service.policy);
}

Result<void> read_shadow(const Place& place, core::Service& service) {
  service.shadow.reset();
  if (place.value().kind == RawValue::Kind::text && place.value().text == "none") return {};
  return store(read_policy_spec(place), service.shadow.emplace());
}

}  // namespace nfsteer::config
