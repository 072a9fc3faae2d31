// What the tests of rules/ share: short ways to write services, and a packet's walk through the chains of a
// table.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/queue_layout.hpp"
#include "core/service.hpp"
#include "plan/plan.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

inline constexpr core::QueueLayout kOneWorker{0, 1};

template <typename... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

inline core::IpAddress address(std::string_view text) {
  return core::IpAddress::parse(text).value();
}

inline core::Backend backend(std::string_view at, std::uint16_t port = 0, std::uint32_t weight = 1) {
  return {address(at), port, weight};
}

inline core::Service service(std::string name, std::string_view vip, core::Protocol protocol,
                             std::uint16_t port, core::Mode mode, std::vector<core::Backend> backends) {
  core::Service service;
  service.name = std::move(name);
  service.vip = address(vip);
  service.protocol = protocol;
  service.port = port;
  service.mode = mode;
  service.backends = std::move(backends);
  return service;
}

// A packet and what conntrack knows of its connection.
struct Walker {
  core::IpAddress destination;
  core::IpAddress original_destination;
  core::Protocol protocol = core::Protocol::tcp;
  std::uint16_t port = 0;
  std::uint16_t original_port = 0;
  std::uint8_t states = Conntrack::kNew;
  bool original_direction = true;
};

struct Walk {
  std::optional<Target> target;  // nothing: came out at the end
  std::string comment;           // of the last rule with one that matched
  std::size_t evaluated = 0;     // rules looked at
};

inline bool within(const core::IpAddress& address, const Prefix& prefix) {
  for (std::size_t bit = 0; bit < prefix.length; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> bit % 8);
    if (((address.bytes()[bit / 8] ^ prefix.address.bytes()[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

inline bool within(std::uint16_t port, const PortRange& ports) {
  return ports.first <= port && port <= ports.last;
}

struct MatchWalker {
  const Walker& packet;
  Walk& walk;

  bool operator()(const DestinationPort& match) const { return within(packet.port, match.ports); }
  bool operator()(const Conntrack& match) const {
    const bool in_states = (match.states & packet.states) != 0;
    return (match.states == 0 || in_states != match.not_states) &&
           (!match.original_destination ||
            within(packet.original_destination, *match.original_destination)) &&
           (!match.original_port || within(packet.original_port, *match.original_port)) &&
           (!match.original_direction || packet.original_direction);
  }
  bool operator()(const Statistic&) const { return true; }
  bool operator()(const Bpf&) const { return true; }
  bool operator()(const Recent& match) const {
    return match.act == Recent::Act::enter;
  }  // nobody was seen yet
  bool operator()(const Comment& match) const {
    walk.comment = match.text;
    return true;
  }
};

// Follows the packet from `chain` to its first target that is neither jump nor goto, up to a goto `stop`
// accepts.
inline Walk walk(
    const Table& table, const std::string& chain, const Walker& packet,
    const std::function<bool(const std::string&)>& stop = [](const auto&) { return false; }) {
  Walk result;
  const Chain* rules = &table.chains.at(chain);
  for (std::size_t i = 0; i < rules->size(); ++i) {
    const Rule& rule = (*rules)[i];
    ++result.evaluated;
    if (rule.destination &&
        within(packet.destination, rule.destination->prefix) == rule.destination->negated) {
      continue;
    }
    if (rule.protocol != core::Protocol::any && rule.protocol != packet.protocol) continue;
    bool matched = true;
    for (const Match& match : rule.matches) {
      matched = matched && std::visit(MatchWalker{packet, result}, match);
    }
    if (!matched) continue;
    const auto* to = std::get_if<Goto>(&rule.target);
    if (to == nullptr || stop(to->chain)) {
      result.target = rule.target;
      return result;
    }
    rules = &table.chains.at(to->chain);
    i = static_cast<std::size_t>(-1);
  }
  return result;
}

}  // namespace nfsteer::rules
