// One packet filter rule as a value: what it asks of a packet (matches) and what becomes of the packet then
// (target). The vocabulary is what the legacy tables of Linux and nfsteer have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/address.hpp"
#include "core/service.hpp"

namespace nfsteer::rules {

struct Prefix {
  core::IpAddress address;  // bits behind `length` are zero
  std::uint8_t length = 0;  // 0..32 or 0..128

  static Prefix host(const core::IpAddress& address) {
    return {address, static_cast<std::uint8_t>(address.is_v4() ? 32 : 128)};
  }
  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

struct PortRange {  // host byte order, both ends included
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  friend bool operator==(const PortRange&, const PortRange&) = default;
};

// --- matches -----------------------------------------------------------------------------------------------

struct DestinationPort {  // the rule's protocol says whose port
  PortRange ports;
  friend bool operator==(const DestinationPort&, const DestinationPort&) = default;
};

// What conntrack knows of the packet's connection. All parts that are set must hold.
struct Conntrack {
  enum State : std::uint8_t {
    kNew = 1,
    kEstablished = 2,
    kDnat = 4
  };                                           // a set; kDnat: the destination is translated
  std::uint8_t states = 0;                     // 0: not asked
  bool not_states = false;                     // none of `states`
  std::optional<Prefix> original_destination;  // before any translation
  std::optional<PortRange> original_port;      // the same for the destination port
  bool original_direction = false;             // only packets that travel as the first one did

  friend bool operator==(const Conntrack&, const Conntrack&) = default;
};

struct Statistic {
  static constexpr std::uint32_t kOne = 1U << 31;
  std::uint32_t probability =
      0;  // in units of 1/kOne; the kernel compares 31 random bits with it (xt_statistic.c)
  friend bool operator==(const Statistic&, const Statistic&) = default;
};

struct BpfInstruction {  // classic BPF, as struct sock_filter of linux/filter.h
  std::uint16_t code = 0;
  std::uint8_t jump_true = 0;
  std::uint8_t jump_false = 0;
  std::uint32_t k = 0;
  friend bool operator==(const BpfInstruction&, const BpfInstruction&) = default;
};

struct Bpf {  // matches where the program returns non-zero; offset 0 is the IP header
  std::vector<BpfInstruction> program;
  friend bool operator==(const Bpf&, const Bpf&) = default;
};

// A list of addresses with the times they were last seen at, which the kernel keeps by name as long as a rule
// names it. Clients are entered, and found again, by the first bits of their address.
struct Recent {
  enum class Act : std::uint8_t {
    enter,    // matches everybody; the packet's client is in the list then, as seen now
    refresh,  // matches who is in the list and was seen within `seconds`; is seen now then
    ask,      // matches the same
  };
  std::string list;         // 1 to 199 bytes, no slash; a list is of one address family
  std::uint8_t prefix = 0;  // bits of the address that count
  Act act = Act::enter;
  std::uint32_t seconds = 0;  // above 0 but for `enter`
  friend bool operator==(const Recent&, const Recent&) = default;
};

struct Comment {
  std::string text;  // at most 255 bytes
  friend bool operator==(const Comment&, const Comment&) = default;
};

using Match = std::variant<DestinationPort, Conntrack, Statistic, Bpf, Recent, Comment>;

// --- targets -----------------------------------------------------------------------------------------------

struct Jump {
  std::string chain;
  friend bool operator==(const Jump&, const Jump&) = default;
};

struct Goto {  // as Jump, but the end of `chain` returns to where the last Jump came from
  std::string chain;
  friend bool operator==(const Goto&, const Goto&) = default;
};

struct Return {
  friend bool operator==(const Return&, const Return&) = default;
};

struct Drop {
  friend bool operator==(const Drop&, const Drop&) = default;
};

// Always with bypass: the packet goes on where no program has bound the queue.
struct Nfqueue {
  std::uint16_t first = 0;
  std::uint16_t count = 1;  // more than one: the kernel spreads by addresses
  friend bool operator==(const Nfqueue&, const Nfqueue&) = default;
};

// With an empty prefix: "this connection is translated to the destination that the packet carries now".
struct Netmap {
  std::uint16_t port = 0;  // the destination port to bind as well; 0: the port stays the client's
  friend bool operator==(const Netmap&, const Netmap&) = default;
};

struct Dnat {
  core::IpAddress address;
  std::uint16_t port = 0;  // 0: the port stays the client's
  friend bool operator==(const Dnat&, const Dnat&) = default;
};

struct Masquerade {
  friend bool operator==(const Masquerade&, const Masquerade&) = default;
};

struct Reject {
  enum class With : std::uint8_t { port_unreachable, tcp_reset };
  With with = With::port_unreachable;
  friend bool operator==(const Reject&, const Reject&) = default;
};

using Target = std::variant<Jump, Goto, Return, Drop, Nfqueue, Netmap, Dnat, Masquerade, Reject>;

// --- rules, tables -----------------------------------------------------------------------------------------

struct Destination {
  Prefix prefix;
  bool negated = false;
  friend bool operator==(const Destination&, const Destination&) = default;
};

struct Rule {
  std::optional<Destination> destination;
  core::Protocol protocol = core::Protocol::any;
  std::vector<Match> matches;  // asked in this order
  Target target;

  friend bool operator==(const Rule&, const Rule&) = default;
};

}  // namespace nfsteer::rules
