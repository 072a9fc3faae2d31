// Any bytes as a configuration file, and as flags. What is accepted must mean the same once written out and
// read again; what is refused must be refused in one line.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace {

using nfsteer::config::Config;
using nfsteer::core::Result;

constexpr std::string_view kPolicies[] = {"weighted-random", "other"};

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const Result<Config>& config) {
  if (!config) {
    require(config.error().exit_code() == 2);
    require(!config.error().reason.empty());
    require(config.error().line().find('\n') == std::string::npos);
    return;
  }
  const auto again = nfsteer::config::parse_yaml(to_yaml(*config), "again.yaml");
  require(again && *again == *config);
}

// The lines of the text as flags.
void check_flags(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    lines.emplace_back(line);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  lines.resize(std::max<std::size_t>(lines.size(), 10));
  const auto given = [](const std::string& text_of) {
    return text_of.empty() ? std::nullopt : std::optional(text_of);
  };
  nfsteer::config::ServiceFlags service;
  service.vip = lines[0];
  service.port = given(lines[1]);
  service.name = given(lines[2]);
  service.protocol = given(lines[3]);
  service.affinity = given(lines[5]);
  service.health = given(lines[6]);
  service.backends.assign(lines.begin() + 9, lines.end());
  Result<Config> config = nfsteer::config::from_flags(service);
  check(config);

  nfsteer::config::EngineFlags engine;
  engine.control = given(lines[4]);
  engine.queue_base = given(lines[1]);
  engine.listen = given(lines[7]);
  engine.control_group = given(lines[8]);
  if (config && apply_overrides(*config, engine)) check(config);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  const std::string text(reinterpret_cast<const char*>(data), size);
  check(nfsteer::config::parse_yaml(text, "fuzz.yaml"));
  check_flags(text);
  return 0;
}
