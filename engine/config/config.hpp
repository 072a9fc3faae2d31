// The configuration: what a YAML file or the command line says about the engine and its services, checked.
//
// Both sources become the same raw values (config/raw.hpp), each of which knows its line or flag, and one
// validator (config/validate.hpp) makes a Config of them. So a flag and a field of the same name mean and
// refuse the same. Every error is the user's (core::Fault::usage) and names the first thing that is wrong:
//   demo.yaml:12: services[0].backends[1].weight: 70000 is not a whole number from 0 to 65535; write ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/engine_settings.hpp"
#include "core/result.hpp"
#include "core/service.hpp"

namespace nfsteer::config {

// Limits of a file. The last two bound memory and recursion, whatever the bytes.
inline constexpr std::size_t kFileBytesMax = 64UL << 20;
inline constexpr std::size_t kValuesMax = 1'000'000;  // maps, lists and single values together
inline constexpr std::size_t kDepthMax = 16;  // maps and lists inside one another; a good file needs 5

inline constexpr std::size_t kServicesMax = 10'000;
inline constexpr std::size_t kBackendsMax = 16'384;  // of one service
inline constexpr std::size_t kServiceNameMax = 63;   // characters
inline constexpr std::string_view kServiceNameDefault = "vip";

struct Config {
  Engine engine;
  std::vector<core::Service> services;  // may be empty

  friend bool operator==(const Config&, const Config&) = default;
};

// One service as typed on the command line.
struct ServiceFlags {
  std::optional<std::string> vip;
  std::vector<std::string> backends;  // ADDR[:PORT][,weight=N], an IPv6 address with a port in brackets
  std::optional<std::string> name;
  std::optional<std::string> protocol;
  std::optional<std::string> port;
  std::optional<std::string> mode;
  std::optional<std::string> policy;
  std::optional<std::string> shadow;
  bool masquerade = false;
  std::optional<std::string> on_no_backend;
  std::optional<std::string> affinity;  // the short forms of a file
  std::optional<std::string> health;    //
};

// Settings of the engine as typed on the command line.
struct EngineFlags {
  std::optional<std::string> queues;
  std::optional<std::string> queue_base;
  std::optional<std::string> queue_length;
  std::optional<std::string> seed;
  std::optional<std::string> control;
  std::optional<std::string> control_group;
  std::optional<std::string> listen;
  bool watch = false;
  bool no_track_connections = false;
  std::optional<std::string> on_stop;
  std::optional<std::string> user;
  std::optional<std::string> seccomp;
  std::optional<std::string> log_level;
  std::optional<std::string> log_format;
};

core::Result<Config> load_file(const std::string& path);

// `file_name` is what errors call the text.
core::Result<Config> parse_yaml(const std::string& text, const std::string& file_name);

core::Result<Config> from_flags(const ServiceFlags& flags);

// Flags that are given win over what `config` says. Changes nothing if it fails.
core::Result<void> apply_overrides(Config& config, const EngineFlags& flags);

// The canonical text: every field in a fixed order, defaults included. parse_yaml() makes an equal Config of
// it.
std::string to_yaml(const Config& config);

}  // namespace nfsteer::config
