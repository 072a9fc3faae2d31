#include "policy/catalogue.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "policy/weighted_random.hpp"

namespace nfsteer::policy {
namespace {

// Of a policy without options.
template <typename T>
std::shared_ptr<const Policy> make(const BuildInput& input, const Options& /*options*/) {
  return std::make_shared<T>(input);
}

constexpr std::array kCatalogue{
    PolicyInfo{
        .name = "weighted-random",
        .alias = "",
        .summary = "each new connection by chance, as the weights say; needs to know nothing, O(1)",
        .contract = {.proportional = true},
        .options = {},
        .build = make<WeightedRandom>,
    },
};

}  // namespace

std::span<const PolicyInfo> catalogue() {
  return kCatalogue;
}

const PolicyInfo* find(std::string_view name) {
  const auto row = std::ranges::find_if(kCatalogue, [&](const PolicyInfo& each) {
    return each.name == name || (!each.alias.empty() && each.alias == name);
  });
  return row == kCatalogue.end() ? nullptr : &*row;
}

tl::expected<core::PolicySpec, SpecError> check(core::PolicySpec spec) {
  if (core::is_policy_file(spec.name)) return spec;
  const PolicyInfo* info = find(spec.name);
  if (info == nullptr)
    return tl::unexpected(
        SpecError{{},
                  fmt::format("\"{}\" is unknown", spec.name),
                  "`nfsteer policy list` names the policies; a file is PATH.so or PATH.py:CLASS"});
  spec.name = info->name;
  if (auto checked = check_options(info->options, spec); !checked) return tl::unexpected(checked.error());
  return spec;
}

std::shared_ptr<const Policy> build(const core::PolicySpec& spec, const BuildInput& input) {
  const PolicyInfo* info = find(spec.name);
  return info == nullptr ? nullptr : info->build(input, Options(info->options, spec));
}

}  // namespace nfsteer::policy
