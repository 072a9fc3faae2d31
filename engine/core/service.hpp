// What a user configures, as plain values: a service is a virtual IP (VIP) and the backends behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.hpp"

namespace nfsteer::core {

// The numbers are the IANA protocol numbers; `any` is every protocol, ICMP echo included.
enum class Protocol : std::uint8_t { any = 0, tcp = 6, udp = 17, sctp = 132 };

// Who sees and who rewrites which packets of a service.
enum class Mode : std::uint8_t {
  dnat,        // the kernel alone: the ladder of DNAT rules chooses and rewrites
  connection,  // the engine chooses on the first packet of a connection, the kernel carries the rest
  inspect,     // as connection; the engine also sees the headers of every later packet from client to VIP
  rewrite,     // as connection; the engine also rewrites every later packet from client to VIP
};

// What becomes of a new connection when no backend may take it.
enum class OnNoBackend : std::uint8_t {
  reject,  // TCP reset, or ICMP port unreachable
  drop,
  pass,  // on to the VIP itself, unchanged
};

inline constexpr std::uint32_t kWeightMax = 65535;

struct Backend {
  IpAddress address;         // of the VIP's family
  std::uint16_t port = 0;    // host byte order; 0: the port the client asked for
  std::uint32_t weight = 1;  // 0..kWeightMax; 0: no new connections

  friend bool operator==(const Backend&, const Backend&) = default;
};

struct Service {
  std::string name;  // unique; [A-Za-z0-9][A-Za-z0-9_.-]{0,62}
  IpAddress vip;
  Protocol protocol = Protocol::any;
  std::uint16_t port = 0;  // host byte order; 0: every port. Needs a protocol with ports.
  Mode mode = Mode::connection;
  std::string policy = "weighted-random";
  std::vector<Backend> backends;
  bool masquerade =
      false;  // replace the client's address too, where replies would not pass this host otherwise
  OnNoBackend on_no_backend = OnNoBackend::reject;

  // The port a connection to `backend` arrives at; 0 where it is the one the client asked for.
  std::uint16_t port_at(const Backend& backend) const { return backend.port != 0 ? backend.port : port; }
  // True if a backend may take new connections.
  bool has_usable_backend() const;

  friend bool operator==(const Service&, const Service&) = default;
};

// The more specific of two services on one VIP takes the packet: a port before a protocol before any. Higher
// is more specific.
int specificity(const Service& service);

std::string_view to_string(Protocol protocol);
std::string_view to_string(Mode mode);
std::string_view to_string(OnNoBackend choice);
std::optional<Protocol> parse_protocol(std::string_view text);
std::optional<Mode> parse_mode(std::string_view text);
std::optional<OnNoBackend> parse_on_no_backend(std::string_view text);

}  // namespace nfsteer::core
