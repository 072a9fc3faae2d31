#include "control/explain_steps.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "render/render.hpp"
#include "walk/walk.hpp"

namespace nfsteer::control {
namespace {

using core::Mode;
using core::OnNoBackend;
using rules::BuiltIn;
using rules::Conntrack;
using rules::PacketView;
using rules::PacketWay;
using rules::TableName;

std::string note_on(const rules::Rule& rule) {
  const auto* netmap = std::get_if<rules::Netmap>(&rule.target);
  if (netmap == nullptr || netmap->port == 0) return {};
  return fmt::format("it also binds port {}, which iptables cannot show", netmap->port);
}

// Where the packet stops for a rule of ours: the target of the first end that has one.
const rules::Target* verdict_of(const PacketWay& way) {
  for (const rules::PacketEnd& end : way.ends)
    if (const rules::Target* target = way.target_of(end)) return target;
  return nullptr;
}

template <typename T>
const T* verdict_of(const PacketWay& way) {
  const rules::Target* target = verdict_of(way);
  return target == nullptr ? nullptr : std::get_if<T>(target);
}

// A RETURN that keeps the packet from a less specific service: the service's name is its comment.
bool is_kept(const PacketWay& way) {
  return verdict_of(way) == nullptr && !way.steps.empty() &&
         std::holds_alternative<rules::Return>(way.steps.back().rule.target);
}

class Steps {
 public:
  Steps(const Explanation& explanation, const rules::RuleSet& rules)
      : explanation_(explanation),
        service_(*explanation.service),
        flow_(explanation.question.flow),
        rules_(rules),
        entry_(explanation.question.from_this_host ? BuiltIn::output : BuiltIn::prerouting),
        has_backend_(explanation.no_backend.empty()) {}

  std::vector<PacketStep> all() {
    add_queueing();
    if (has_backend_) {
      if (is_queued_) add_binding();
      add_ladder();
      add_masquerade();
      add_later_packets();
    } else {
      add_no_ladder();
      add_no_backend();
    }
    return std::move(steps_);
  }

 private:
  PacketWay walk(TableName table, BuiltIn hook, const PacketView& packet) const {
    return walk_rules(rules_, {flow_.family, table}, hook, packet);
  }
  PacketView first_packet() const { return {flow_, flow_, Conntrack::kNew, true}; }

  // As the engine, or the ladder, has left it.
  PacketView translated(const BackendChance& to, std::uint8_t states) const {
    PacketView packet{flow_, flow_, states, true};
    packet.now.destination = {};
    std::ranges::copy(to.backend.address.bytes(), packet.now.destination.begin());
    packet.now.destination_port = to.port;
    return packet;
  }

  static std::string place_of(TableName table, BuiltIn hook) {
    return fmt::format("{} {}", to_string(table), to_string(hook));
  }

  // Adds the rules that are not there yet, and its share of those that are.
  void add_rules(PacketStep& step, const PacketWay& way, double share = 1) const {
    for (const rules::MatchedRule& each : way.steps) {
      std::string text = rules::render(each.chain, each.rule, flow_.family);
      const auto known = std::ranges::find_if(step.rules, [&](const AppliedRule& rule) {
        return rule.text == text && rule.note == note_on(each.rule);
      });
      if (known != step.rules.end()) {
        known->probability = std::min(1.0, known->probability + each.probability * share);  // sums round
      } else {
        step.rules.push_back({std::move(text), each.probability * share, note_on(each.rule)});
      }
    }
  }

  PacketStep& add(std::string place, std::string text, const PacketWay& way = {}) {
    PacketStep& step = steps_.emplace_back(PacketStep{std::move(place), std::move(text), false, {}});
    add_rules(step, way);
    return step;
  }

  static std::string queues_text(const rules::Nfqueue& to) {
    return to.count == 1 ? fmt::format("queue {}", to.first)
                         : fmt::format("one of the queues {} to {}", to.first, to.first + to.count - 1);
  }

  std::string kept_text() const {
    return fmt::format("{} keeps its packets from a less specific service's rules", service_.name);
  }

  void add_queueing() {
    const PacketWay way = walk(TableName::mangle, entry_, first_packet());
    const std::string place = place_of(TableName::mangle, entry_);
    if (is_kept(way)) add(place, kept_text(), way);
    const auto* queue = verdict_of<rules::Nfqueue>(way);
    if (queue == nullptr) return;
    is_queued_ = true;
    add(place,
        fmt::format("a new connection to {}: its packet waits in {} for the engine", service_.name,
                    queues_text(*queue)),
        way);
    add("engine", engine_text());
  }

  std::string engine_text() const {
    if (!has_backend_)
      return service_.on_no_backend == OnNoBackend::drop
                 ? "there is no backend to choose: the engine drops the packet"
                 : "there is no backend to choose: the engine lets the packet go on as it is";
    const bool may_map_ports = std::ranges::any_of(explanation_.backends, [&](const BackendChance& each) {
      return each.effective_weight > 0 && each.port != flow_.destination_port;
    });
    const char* what = may_map_ports ? "address and port" : "address";
    if (const auto& choice = explanation_.choice) {
      const BackendChance& each = explanation_.backends[choice->backend];
      return fmt::format("it chooses {} ({}), writes that {} into the packet and lets it go on",
                         core::endpoint_text(each.backend.address, each.port), choice->reason, what);
    }
    return fmt::format(
        "it asks the policy {} for a backend, writes the backend's {} into the packet and lets it go on",
        service_.policy, what);
  }

  // One rule for each port that the chosen backend may listen on.
  void add_binding() {
    std::map<std::uint16_t, std::pair<const BackendChance*, double>> by_port;
    const auto count = [&](const BackendChance& each, double probability) {
      auto& [backend, sum] = by_port[each.port];
      backend = &each;
      sum += probability;
    };
    if (const auto& choice = explanation_.choice) {
      count(explanation_.backends[choice->backend], 1);
    } else {
      for (const BackendChance& each : explanation_.backends)
        if (each.effective_weight > 0) count(each, each.probability);
    }
    PacketStep step{
        place_of(TableName::nat, entry_),
        fmt::format(
            "opened to {}, the packet carries a backend's address now: NETMAP has conntrack translate "
            "the connection to it",
            destination_text(flow_)),
        false,
        {}};
    for (const auto& [port, backend] : by_port)
      add_rules(step, walk(TableName::nat, entry_, translated(*backend.first, Conntrack::kNew)),
                backend.second);
    steps_.push_back(std::move(step));
  }

  void add_ladder() {
    const PacketWay way = walk(TableName::nat, entry_, first_packet());
    if (verdict_of<rules::Dnat>(way) == nullptr) return;
    PacketStep& step =
        add(place_of(TableName::nat, entry_),
            is_queued_
                ? "if no engine has seen the packet (none runs, or the queue was full), it still carries the "
                  "VIP: the ladder chooses by weighted chance"
                : "the ladder chooses by weighted chance, and conntrack translates the connection to that "
                  "backend",
            way);
    step.otherwise = is_queued_;
  }

  void add_no_ladder() {
    const PacketWay way = walk(TableName::nat, entry_, first_packet());
    if (is_kept(way)) add(place_of(TableName::nat, entry_), kept_text(), way);
  }

  void add_no_backend() {
    const BuiltIn hook = explanation_.question.from_this_host ? BuiltIn::output
                         : explanation_.question.to_this_host ? BuiltIn::input
                                                              : BuiltIn::forward;
    const PacketWay way = walk(TableName::filter, hook, first_packet());
    const std::string place = place_of(TableName::filter, hook);
    if (is_kept(way)) add(place, kept_text(), way);
    if (const auto* reject = verdict_of<rules::Reject>(way)) {
      add(place,
          reject->with == rules::Reject::With::tcp_reset
              ? "no backend: the client gets a TCP reset"
              : "no backend: the client gets an ICMP port unreachable",
          way);
    } else if (verdict_of<rules::Drop>(way) != nullptr) {
      add(place, is_queued_ ? "if no engine has seen the packet, it is dropped here" : "no backend: dropped",
          way)
          .otherwise = is_queued_;
    } else {
      add("VIP",
          fmt::format("no backend: the packet goes on to {} itself, unchanged", destination_text(flow_)));
    }
  }

  void add_masquerade() {
    const auto to = std::ranges::find_if(explanation_.backends,
                                         [](const auto& each) { return each.effective_weight > 0; });
    const PacketWay way =
        walk(TableName::nat, BuiltIn::postrouting, translated(*to, Conntrack::kNew | Conntrack::kDnat));
    const std::string place = place_of(TableName::nat, BuiltIn::postrouting);
    if (is_kept(way)) add(place, kept_text(), way);
    if (verdict_of<rules::Masquerade>(way) != nullptr)
      add(place,
          "masquerade: the backend sees an address of this host as the client, so its answers pass here",
          way);
  }

  void add_later_packets() {
    PacketView packet = first_packet();
    packet.states = Conntrack::kEstablished | Conntrack::kDnat;
    const PacketWay way = walk(TableName::mangle, entry_, packet);
    if (const auto* queue = verdict_of<rules::Nfqueue>(way)) {
      const char* what = service_.mode == Mode::rewrite
                             ? "each waits there for the engine, which rewrites it"
                             : "each waits there until the engine has counted it, conntrack translates it";
      add(place_of(TableName::mangle, entry_),
          fmt::format("later packets from the client go to {}: {}", queues_text(*queue), what), way);
      add("conntrack", "the answers: conntrack gives them the VIP as their source again, without a rule");
    } else {
      add("conntrack", "later packets and the answers: conntrack translates them, both ways, without a rule");
    }
  }

  const Explanation& explanation_;
  const core::Service& service_;
  const core::FlowKey& flow_;
  const rules::RuleSet& rules_;
  BuiltIn entry_;
  bool has_backend_;
  bool is_queued_ = false;
  std::vector<PacketStep> steps_;
};

}  // namespace

std::vector<PacketStep> steps_of(const Explanation& explanation, const rules::RuleSet& rules) {
  return Steps(explanation, rules).all();
}

}  // namespace nfsteer::control
