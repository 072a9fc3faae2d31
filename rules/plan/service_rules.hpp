// The rules of one service in each table. The tree above them (plan/dispatch_tree.hpp) only finds them
// sooner: each rule tests VIP, protocol and port itself and carries the service's name as its comment.
//
// `wider`: the less specific services on the same VIP that would take this service's packets if it did not
// exist. Where one of them would still get hold of a packet, a RETURN keeps it out.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/service.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

using WiderServices = std::span<const core::Service* const>;

// mangle: what the engine gets to see. Queue chains are named by queue_chain_name().
std::vector<Rule> queue_rules(const core::Service& service, WiderServices wider);

// The chains that the service's rules in the nat table lead to.
struct TranslationChains {
  std::optional<std::string> bindings;  // asked before the service's own binding rules
  std::optional<std::string> ladder;    // nothing: no usable backend
};

// nat, destination: first the binding of connections that the engine has steered, one rule per port that
// backends listen on, then the way to the ladder. Bindings name weight 0 backends as well, and stay without
// any usable backend: packets steered to them may still be on their way.
std::vector<Rule> translation_rules(const core::Service& service, WiderServices wider,
                                    const TranslationChains& chains);

// A connection is translated to the backend, whatever its packets say.
Rule dnat_rule(const core::Service& service, const core::Backend& backend);

// A connection that arrives at `port` (0: the one the client asked for) is translated to where its packet
// says it goes. `ask_port`: only packets to that port.
Rule netmap_rule(const core::Service& service, std::uint16_t port, bool ask_port);

// nat, source: the client's address is replaced where the service asks for it.
std::vector<Rule> masquerade_rules(const core::Service& service, WiderServices wider);

// filter: new connections to a service that has no usable backend. Those of others are translated by then.
std::vector<Rule> no_backend_rules(const core::Service& service, WiderServices wider);

}  // namespace nfsteer::rules
