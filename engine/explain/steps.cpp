#include "explain/steps.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "render/render.hpp"
#include "walk/walk.hpp"

namespace nfsteer::explain {
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

// The client is in the list of the backend that had its last connection.
bool is_remembered(const PacketWay& way) {
  return std::ranges::any_of(way.steps, [](const rules::MatchedRule& each) {
    return std::holds_alternative<rules::Dnat>(each.rule.target) &&
           std::ranges::any_of(each.rule.matches, [](const rules::Match& match) {
             const auto* recent = std::get_if<rules::Recent>(&match);
             return recent != nullptr && recent->act == rules::Recent::Act::refresh;
           });
  });
}

// The rules of several ways to the same place, each once, with the sum of its probabilities.
class RuleList {
 public:
  void add(AppliedRule rule) {
    const auto [known, is_new] = index_.emplace(rule.text + '\n' + rule.note, rules_.size());
    if (is_new) {
      rules_.push_back(std::move(rule));
    } else {
      double& probability = rules_[known->second].probability;
      probability = std::min(1.0, probability + rule.probability);  // sums round
    }
  }
  std::vector<AppliedRule> take() && { return std::move(rules_); }

 private:
  std::vector<AppliedRule> rules_;
  std::unordered_map<std::string, std::size_t> index_;
};

class Steps {
 public:
  Steps(const Explanation& explanation, const rules::RuleSet& rules, const ClientMemory& memory)
      : explanation_(explanation),
        service_(*explanation.service),
        flow_(explanation.question.flow),
        rules_(rules),
        memory_(memory),
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
  PacketView packet(std::uint8_t states) const {
    PacketView view{flow_, flow_, states, true, {}};
    if (memory_.in_list)
      view.in_list = [this](const rules::Recent& match) {
        return memory_.in_list(match, flow_.source_address());
      };
    return view;
  }
  PacketView first_packet() const { return packet(Conntrack::kNew); }

  // As the engine, or the ladder, has left it.
  PacketView translated(const BackendChance& to, std::uint8_t states) const {
    PacketView view = packet(states);
    view.now.destination = {};
    std::ranges::copy(to.backend.address.bytes(), view.now.destination.begin());
    view.now.destination_port = to.port;
    return view;
  }

  static std::string place_of(TableName table, BuiltIn hook) {
    return fmt::format("{} {}", to_string(table), to_string(hook));
  }

  void append_rules(RuleList& list, const PacketWay& way, double share = 1) const {
    for (const rules::MatchedRule& each : way.steps)
      list.add(
          {rules::render(each.chain, each.rule, flow_.family), each.probability * share, note_on(each.rule)});
  }

  PacketStep& add(std::string place, std::string text, const PacketWay& way = {}) {
    RuleList rules;
    append_rules(rules, way);
    return steps_.emplace_back(PacketStep{std::move(place), std::move(text), false, std::move(rules).take()});
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
        core::to_string(service_.policy), what);
  }

  // One rule for each port that the chosen backend may listen on; with affinity, one for each backend.
  void add_binding() {
    using Key = std::pair<std::size_t, std::uint16_t>;
    std::map<Key, std::pair<const BackendChance*, double>> bound;
    const auto count = [&](std::size_t index, double probability) {
      const BackendChance& each = explanation_.backends[index];
      auto& [backend, sum] = bound[{service_.affinity ? index : 0, each.port}];
      backend = &each;
      sum += probability;
    };
    if (const auto& choice = explanation_.choice) {
      count(choice->backend, 1);
    } else {
      for (std::size_t i = 0; i < explanation_.backends.size(); ++i)
        if (explanation_.backends[i].effective_weight > 0) count(i, explanation_.backends[i].probability);
    }
    RuleList rules;
    for (const auto& [key, backend] : bound)
      append_rules(rules, walk(TableName::nat, entry_, translated(*backend.first, Conntrack::kNew)),
                   backend.second);
    steps_.push_back(
        {place_of(TableName::nat, entry_),
         fmt::format("opened to {}, the packet carries a backend's address now: NETMAP has conntrack "
                     "translate the connection to it",
                     destination_text(flow_)),
         false, std::move(rules).take()});
  }

  void add_ladder() {
    const PacketWay way = walk(TableName::nat, entry_, first_packet());
    if (verdict_of<rules::Dnat>(way) == nullptr) return;
    const std::string what =
        is_remembered(way)
            ? "affinity: the kernel has the client in the list of a backend, and it goes there again"
            : "the ladder chooses by weighted chance";
    PacketStep& step = add(place_of(TableName::nat, entry_),
                           is_queued_ ? "if no engine has seen the packet (none runs, or the queue was "
                                        "full), it still carries the VIP: " +
                                            what
                                      : what + "; conntrack translates the connection to that backend",
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
    const PacketView later = packet(Conntrack::kEstablished | Conntrack::kDnat);
    const PacketWay way = walk(TableName::mangle, entry_, later);
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
  const ClientMemory& memory_;
  BuiltIn entry_;
  bool has_backend_;
  bool is_queued_ = false;
  std::vector<PacketStep> steps_;
};

}  // namespace

std::vector<PacketStep> steps_of(const Explanation& explanation, const rules::RuleSet& rules,
                                 const ClientMemory& memory) {
  return Steps(explanation, rules, memory).all();
}

}  // namespace nfsteer::explain
