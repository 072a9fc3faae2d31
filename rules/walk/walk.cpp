#include "walk/walk.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "walk/bpf.hpp"

namespace nfsteer::rules {
namespace {

bool within(const core::IpAddress& address, const Prefix& prefix) {
  if (address.family() != prefix.address.family()) return false;
  const auto bytes = address.bytes();
  const auto wanted = prefix.address.bytes();
  const std::size_t whole = prefix.length / 8;
  if (!std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(whole), wanted.begin()))
    return false;
  const unsigned rest = prefix.length % 8;
  return rest == 0 || (bytes[whole] ^ wanted[whole]) >> (8 - rest) == 0;
}

bool within(std::uint16_t port, const PortRange& ports) {
  return ports.first <= port && port <= ports.last;
}

// The probability that a match holds.
struct Chance {
  const PacketView& packet;
  const std::vector<std::uint8_t>& head;

  double operator()(const DestinationPort& match) const {
    return within(packet.now.destination_port, match.ports) ? 1 : 0;
  }
  // net/netfilter/xt_conntrack.c, conntrack_mt()
  double operator()(const Conntrack& match) const {
    const bool in_states = (match.states & packet.states) != 0;
    if (match.states != 0 && in_states == match.not_states) return 0;
    if (match.original_destination &&
        !within(packet.original.destination_address(), *match.original_destination))
      return 0;
    if (match.original_port && !within(packet.original.destination_port, *match.original_port)) return 0;
    return match.original_direction && !packet.original_direction ? 0 : 1;
  }
  double operator()(const Statistic& match) const {
    return match.probability / static_cast<double>(Statistic::kOne);
  }
  double operator()(const Bpf& match) const { return matches(match, head) ? 1 : 0; }
  double operator()(const Recent& match) const {
    return match.act == Recent::Act::enter || (packet.in_list && packet.in_list(match)) ? 1 : 0;
  }
  double operator()(const Comment&) const { return 1; }
};

class Walker {
 public:
  Walker(const Table& table, const PacketView& packet)
      : table_(table), packet_(packet), head_(head_of(packet.now)) {}

  PacketWay walk(BuiltIn hook) {
    const auto jump = table_.jumps.find(hook);
    if (jump == table_.jumps.end()) {
      way_.ends.push_back({});
      return std::move(way_);
    }
    Rule rule;
    rule.target = Jump{jump->second};
    way_.steps.push_back({std::string(to_string(hook)), std::move(rule), 1});
    follow({start_of(jump->second)}, 1);
    return std::move(way_);
  }

 private:
  // The next rule to ask, in each of the chains that the packet has entered and not left.
  struct Place {
    std::map<std::string, Chain>::const_iterator chain;
    std::size_t next = 0;
  };
  using Places = std::vector<Place>;

  Place start_of(const std::string& chain) const { return {table_.chains.find(chain), 0}; }

  double chance_of(const Rule& rule) const {
    if (rule.destination &&
        within(packet_.now.destination_address(), rule.destination->prefix) == rule.destination->negated)
      return 0;
    if (rule.protocol != core::Protocol::any &&
        static_cast<std::uint8_t>(rule.protocol) != packet_.now.protocol)
      return 0;
    double chance = 1;
    for (const Match& match : rule.matches)
      chance *= std::visit(Chance{packet_, head_}, match);
    return chance;
  }

  // Where the packet goes on once the rule has matched; nothing if its way ends there.
  std::optional<Places> behind(const Rule& rule, Places places) const {
    if (const auto* jump = std::get_if<Jump>(&rule.target)) {
      places.push_back(start_of(jump->chain));
    } else if (const auto* to = std::get_if<Goto>(&rule.target)) {
      places.back() = start_of(to->chain);
    } else if (std::holds_alternative<Return>(rule.target)) {
      places.pop_back();
    } else {
      return std::nullopt;
    }
    return places;
  }

  // `probability`: of getting here.
  void follow(Places places, double probability) {
    while (!places.empty()) {
      Place& here = places.back();
      if (here.next == here.chain->second.size()) {
        places.pop_back();
        continue;
      }
      const Rule& rule = here.chain->second[here.next++];
      const double chance = chance_of(rule);
      if (chance <= 0) continue;
      way_.steps.push_back({here.chain->first, rule, probability * chance});
      auto further = behind(rule, places);
      if (!further) way_.ends.push_back({way_.steps.size() - 1, probability * chance});
      if (chance < 1) {
        if (further) follow(*std::move(further), probability * chance);
        probability *= 1 - chance;
      } else if (further) {
        places = *std::move(further);
      } else {
        return;
      }
    }
    way_.ends.push_back({std::nullopt, probability});
  }

  const Table& table_;
  const PacketView& packet_;
  std::vector<std::uint8_t> head_;
  PacketWay way_;
};

}  // namespace

PacketWay walk_rules(const RuleSet& rules, TableId table, BuiltIn hook, const PacketView& packet) {
  const auto found = rules.tables.find(table);
  if (found == rules.tables.end()) return {.steps = {}, .ends = {PacketEnd{}}};
  return Walker(found->second, packet).walk(hook);
}

}  // namespace nfsteer::rules
