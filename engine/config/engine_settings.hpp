// The engine's own settings, as configured: workers and queues, sockets, what it logs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/address.hpp"
#include "core/seccomp.hpp"

namespace nfsteer::config {

inline constexpr std::uint32_t kQueueLengthDefault = 4096;
inline constexpr std::uint32_t kQueueLengthMax = 65'536;
inline constexpr std::string_view kControlDefault = "/run/nfsteer/control.sock";
// Characters; sun_path holds 108 bytes, one of them the final NUL.
inline constexpr std::size_t kControlMax = 107;
inline constexpr std::size_t kAccountNameMax = 32;  // characters of a user or group, as useradd(8) has it

// What becomes of the rules when the engine stops.
enum class OnStop : std::uint8_t {
  keep,    // the DNAT ladder stays and balances until the next start, or until `nfsteer cleanup`
  remove,  // every rule goes, and with it whatever balances new connections
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };
enum class LogFormat : std::uint8_t {
  text,
  json,  // one object a line
};

std::string_view to_string(OnStop choice);
std::string_view to_string(LogLevel level);
std::string_view to_string(LogFormat format);

struct Endpoint {
  core::IpAddress address;
  std::uint16_t port = 0;  // host byte order

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct Engine {
  std::uint16_t queues = 0;      // worker threads, 1..core::kWorkersMax; 0: as many as CPUs, see workers()
  std::uint16_t queue_base = 0;  // first NFQUEUE number
  std::uint32_t queue_length = kQueueLengthDefault;  // packets that a kernel queue holds, 1..kQueueLengthMax
  std::optional<std::uint64_t> seed;                 // of the policies' choices; none: random
  std::string control{kControlDefault};              // path of the control socket, printable ASCII
  std::string control_group;  // of the control socket, [A-Za-z0-9_.-]{1,32}, not looked up; empty: root's
  std::optional<Endpoint> listen;  // where metrics and status can be read over TCP; none: nowhere
  bool watch = false;              // read the file again when it changes
  bool track_connections = true;   // count connections, from conntrack's events
  OnStop on_stop = OnStop::keep;
  std::string user;  // whom the engine becomes, a name as control_group's; empty: it stays who it is
  core::Seccomp seccomp = core::Seccomp::enforce;
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::text;

  // `queues`, or the number of CPUs this process may use, at most core::kWorkersMax.
  std::uint16_t workers() const;

  friend bool operator==(const Engine&, const Engine&) = default;
};

}  // namespace nfsteer::config
