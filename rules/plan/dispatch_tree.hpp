// How a packet finds the rules of its service among many: a tree of chains by address prefixes, and below a
// VIP with many services a tree by port ranges. A packet for none of them leaves after one test in the common
// case.
//
// All ways down are gotos, never jumps. So RETURN in any rule leaves the tree as a whole, which is how a
// service keeps its packets from a less specific one on the same VIP.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/address.hpp"
#include "core/service.hpp"
#include "plan/chain_names.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

inline constexpr std::size_t kTreeWidth = 4;  // choices of one chain
inline constexpr std::size_t kLeafMax =
    4;  // services that several VIPs, or a range of ports, may list in one chain
inline constexpr std::size_t kVipListMax = 8;  // services of one VIP that are listed; more become a tree

// Where a packet carries the VIP and the port of its service.
enum class LookAt : std::uint8_t {
  packet,    // its destination now
  original,  // its connection's destination before translation
};

struct ServiceRules {
  core::Protocol protocol = core::Protocol::any;
  std::uint16_t port = 0;
  std::vector<Rule> rules;  // each tests VIP, protocol and port itself; not empty
};

struct VipRules {
  core::IpAddress vip;
  std::vector<ServiceRules> services;  // most specific first; not empty
};

// Adds the chain `root` and the chains below it. `vips`: of one family, each VIP once, any order.
void add_dispatch(std::string root, std::vector<VipRules> vips, LookAt look_at, ChainNames& names,
                  std::map<std::string, Chain>& chains);

}  // namespace nfsteer::rules
