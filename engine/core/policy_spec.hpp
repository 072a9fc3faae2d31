// Which balancing policy, as a user names it: "maglev", "maglev,table_size=5003", "/etc/nfsteer/mine.so".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nfsteer::core {

struct PolicySpec {
  struct Option {
    std::string name;
    std::string value;
    friend bool operator==(const Option&, const Option&) = default;
  };

  std::string name = "weighted-random";  // of the catalogue, or a file with a policy
  std::vector<Option> options;           // those that are given, in the order given; no name twice

  // Null: not given.
  const std::string* find(std::string_view option) const {
    for (const Option& each : options)
      if (each.name == option) return &each.value;
    return nullptr;
  }

  friend bool operator==(const PolicySpec&, const PolicySpec&) = default;
};

// NAME[,OPTION=VALUE...]
std::string to_string(const PolicySpec& spec);
// Reads that form; nothing: an option without "=". Neither names nor values are judged.
std::optional<PolicySpec> parse_policy_spec(std::string_view text);

// True for a policy that comes from a file rather than the catalogue: PATH.so with the C interface, or
// PATH.py:CLASS.
bool is_policy_file(std::string_view name);

}  // namespace nfsteer::core
