// The configuration: what a YAML file or the command line says about the engine and its services, checked.
//
// Both sources become the same raw values (config/raw.hpp), each of which knows its line or flag, and one
// validator (config/validate.hpp) makes a Config of them. So a flag and a field of the same name mean and
// refuse the same. Every error is the user's (core::Fault::usage) and names the first thing that is wrong:
//   demo.yaml:12: services[0].backends[1].weight: 70000 is not a whole number from 0 to 65535; write ...
//
// `known_policies` are the names that a service's `policy` may have; the configuration does not know the
// catalogue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

inline constexpr std::uint32_t kQueueLengthDefault = 4096;
inline constexpr std::uint32_t kQueueLengthMax = 65'536;
inline constexpr std::string_view kControlDefault = "/run/nfsteer/control.sock";
inline constexpr std::size_t kControlMax =
    107;  // characters; sun_path holds 108 bytes, one of them the final NUL

// What becomes of the rules when the engine stops.
enum class OnStop : std::uint8_t {
  keep,    // the DNAT ladder stays and balances until the next start, or until `nfsteer cleanup`
  remove,  // every rule goes, and with it whatever balances new connections
};

std::string_view to_string(OnStop choice);

struct Engine {
  std::uint16_t queues = 0;      // worker threads, 1..core::kWorkersMax; 0: as many as CPUs, see workers()
  std::uint16_t queue_base = 0;  // first NFQUEUE number
  std::uint32_t queue_length = kQueueLengthDefault;  // packets that a kernel queue holds, 1..kQueueLengthMax
  std::optional<std::uint64_t> seed;                 // of the policies' choices; none: random
  std::string control{kControlDefault};              // path of the control socket, printable ASCII
  OnStop on_stop = OnStop::keep;

  // `queues`, or the number of CPUs this process may use, at most core::kWorkersMax.
  std::uint16_t workers() const;

  friend bool operator==(const Engine&, const Engine&) = default;
};

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
  bool masquerade = false;
  std::optional<std::string> on_no_backend;
};

// Settings of the engine as typed on the command line.
struct EngineFlags {
  std::optional<std::string> queues;
  std::optional<std::string> queue_base;
  std::optional<std::string> queue_length;
  std::optional<std::string> seed;
  std::optional<std::string> control;
  std::optional<std::string> on_stop;
};

core::Result<Config> load_file(const std::string& path, std::span<const std::string_view> known_policies);

// `file_name` is what errors call the text.
core::Result<Config> parse_yaml(const std::string& text, const std::string& file_name,
                                std::span<const std::string_view> known_policies);

core::Result<Config> from_flags(const ServiceFlags& flags, std::span<const std::string_view> known_policies);

// Flags that are given win over what `config` says. Changes nothing if it fails.
core::Result<void> apply_overrides(Config& config, const EngineFlags& flags);

// The canonical text: every field in a fixed order, defaults included. parse_yaml() makes an equal Config of
// it.
std::string to_yaml(const Config& config);

}  // namespace nfsteer::config
