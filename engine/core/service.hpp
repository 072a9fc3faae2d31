// What a user configures, as plain values: a service is a virtual IP (VIP) and the backends behind it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.hpp"
#include "core/health_check.hpp"
#include "core/policy_spec.hpp"

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

// What becomes of a backend's open TCP connections when it is removed, down, or in maintenance. Flows without
// an end of their own, UDP and pings, are forgotten in any case, so that their clients move on.
enum class OnBackendLoss : std::uint8_t {
  keep,   // they go on for as long as the backend answers
  reset,  // conntrack forgets them: the client's next packet is answered with a reset
};

// What the operator wants of a backend.
enum class AdminState : std::uint8_t {
  active,
  drain,        // no new connections; the open ones go on
  maintenance,  // no new connections, no health checks; the open ones as OnBackendLoss says
};

// Keeps a client with its backend: connections from one prefix go where the last one went.
struct Affinity {
  std::chrono::seconds timeout{10800};  // since the client's last new connection
  std::uint8_t ipv4_prefix = 32;        // bits of the client's address that count
  std::uint8_t ipv6_prefix = 128;

  friend bool operator==(const Affinity&, const Affinity&) = default;
};

inline constexpr std::uint32_t kWeightMax = 65535;
inline constexpr std::size_t kBackendDataMax = 255;

struct Backend {
  IpAddress address;         // of the VIP's family
  std::uint16_t port = 0;    // host byte order; 0: the port the client asked for
  std::uint32_t weight = 1;  // 0..kWeightMax; 0: no new connections
  AdminState state = AdminState::active;
  bool backup = false;  // used only while no other backend of the service can be
  std::string data{};   // the operator's own, for policies: "zone=a"; up to kBackendDataMax bytes

  friend bool operator==(const Backend&, const Backend&) = default;
};

struct Service {
  std::string name;  // unique; [A-Za-z0-9][A-Za-z0-9_.-]{0,62}
  IpAddress vip;
  Protocol protocol = Protocol::any;
  std::uint16_t port = 0;  // host byte order; 0: every port. Needs a protocol with ports.
  Mode mode = Mode::connection;
  PolicySpec policy;
  std::optional<PolicySpec> shadow;  // a policy that is asked too, without effect
  std::vector<Backend> backends;
  bool masquerade =
      false;  // replace the client's address too, where replies would not pass this host otherwise
  OnNoBackend on_no_backend = OnNoBackend::reject;
  OnBackendLoss on_backend_loss = OnBackendLoss::keep;
  std::chrono::seconds slow_start{0};  // for so long a backend that comes (back) takes less than its share
  std::optional<Affinity> affinity;
  std::optional<HealthCheck> health;

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
std::string_view to_string(OnBackendLoss choice);
std::string_view to_string(AdminState state);
std::optional<Protocol> parse_protocol(std::string_view text);
std::optional<Mode> parse_mode(std::string_view text);
std::optional<OnNoBackend> parse_on_no_backend(std::string_view text);
std::optional<AdminState> parse_admin_state(std::string_view text);

}  // namespace nfsteer::core
