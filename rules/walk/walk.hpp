// A packet's way through planned rules, as the kernel would take it: which of our rules match, in the order
// in which it meets them, up to what becomes of it. Pure; sees our own chains only, not what other people
// keep in the same tables.
//
// A `statistic` match is a branch: both ways are followed, each with its probability.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/flow.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

// What rules can ask of a packet.
struct PacketView {
  core::FlowKey now;       // what it carries
  core::FlowKey original;  // what its connection's first packet carried before anybody changed it
  std::uint8_t states = Conntrack::kNew;  // the Conntrack::State bits that hold
  bool original_direction = true;
  // Whether its client is in the list of a Recent match, seen as lately as that asks for; empty: in none.
  std::function<bool(const Recent&)> in_list = {};
};

struct MatchedRule {
  std::string chain;
  Rule rule;
  double probability = 1;  // that the packet gets here and the rule matches
};

// How the way ends. Of all ends the probabilities add up to 1.
struct PacketEnd {
  std::optional<std::size_t> step;  // the rule that decides; nothing: it came out, other people's rules go on
  double probability = 1;
};

struct PacketWay {
  std::vector<MatchedRule> steps;  // behind a branch: all of the one way, then all of the other
  std::vector<PacketEnd> ends;

  // The target of an end; null if the packet came out.
  const Target* target_of(const PacketEnd& end) const {
    return end.step ? &steps[*end.step].rule.target : nullptr;
  }
};

// From the head of the built-in chain `hook` on. Empty but for one end where `rules` has no jump there. The
// rules are such as a kernel takes: every chain exists, no jump leads in a circle.
PacketWay walk_rules(const RuleSet& rules, TableId table, BuiltIn hook, const PacketView& packet);

}  // namespace nfsteer::rules
