#include "core/policy_spec.hpp"

namespace nfsteer::core {

std::string to_string(const PolicySpec& spec) {
  std::string text = spec.name;
  for (const PolicySpec::Option& each : spec.options)
    text += ',' + each.name + '=' + each.value;
  return text;
}

std::optional<PolicySpec> parse_policy_spec(std::string_view text) {
  PolicySpec spec;
  spec.name = text.substr(0, text.find(','));
  std::string_view rest = text.substr(spec.name.size());
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the comma
    const std::string_view option = rest.substr(0, rest.find(','));
    const auto equals = option.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    spec.options.push_back({std::string(option.substr(0, equals)), std::string(option.substr(equals + 1))});
    rest.remove_prefix(option.size());
  }
  return spec;
}

bool is_policy_file(std::string_view name) {
  return name.find('/') != std::string_view::npos || name.ends_with(".so") ||
         name.find(".py:") != std::string_view::npos;
}

}  // namespace nfsteer::core
