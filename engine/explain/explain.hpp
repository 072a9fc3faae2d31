// What becomes of a connection, and why: for people who learn how a Service works, and for those who look for
// a fault. Pure: services, what is known of their backends and the rules planned from both go in, an
// explanation comes out, in values and in words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "core/availability.hpp"
#include "core/flow.hpp"
#include "core/service.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::explain {

struct ExplainQuestion {
  core::FlowKey flow;           // of a new connection's first packet; ICMP: an echo request, source_port 0
  bool from_this_host = false;  // the client is on this host: its packets come by OUTPUT, not PREROUTING
  bool to_this_host = false;    // the destination is an address of this host
};

// A choice of the engine that is not left to chance.
struct CertainChoice {
  std::size_t backend = 0;  // index into Service::backends
  std::string reason;       // "affinity: ..."
};

// What decides beside the weights. An empty function knows nothing.
struct ClientMemory {
  // What the service's policy chooses for this flow, where that follows from the flow alone.
  std::function<std::optional<std::uint32_t>(const core::Service&, const core::FlowKey&)> policy{};
  // The rest is of clients, for services with affinity.
  // The engine's choice for this flow; nothing: it is open. Asked with the effective service.
  std::function<std::optional<CertainChoice>(const core::Service&, const core::FlowKey&)> choice;
  // Whether the client is in the list of the match, seen as lately as it asks for.
  std::function<bool(const rules::Recent&, const core::IpAddress& client)> in_list;
};

// A service on the VIP in question.
struct ServiceCandidate {
  std::string name;
  core::Protocol protocol = core::Protocol::any;
  std::uint16_t port = 0;  // 0: every port
  bool takes = false;
  std::string reason;
};

struct BackendChance {
  core::Backend backend;   // as configured
  std::uint16_t port = 0;  // that the connection arrives at; 0: its protocol has none
  std::uint64_t effective_weight = 0;
  core::BackendState state = core::BackendState::active;
  double probability = 0;  // of a new connection, where the choice is open
  std::string reason;
};

struct AppliedRule {
  std::string text;        // as iptables-save prints it
  double probability = 1;  // that the packet gets there and the rule matches
  std::string note;        // what the text cannot say; may be empty
};

struct PacketStep {
  std::string place;               // "mangle OUTPUT", "engine", "nat OUTPUT", ...
  std::string text;                // what happens there
  bool otherwise = false;          // instead of the step before: the packet went past the engine
  std::vector<AppliedRule> rules;  // in the order in which the packet meets them
};

struct Explanation {
  ExplainQuestion question;
  std::vector<ServiceCandidate> candidates;  // most specific first
  // As configured; nothing: no service takes the connection, and all below is empty.
  std::optional<core::Service> service;
  std::string mode_meaning;
  std::string policy_meaning;
  std::vector<BackendChance> backends;  // as Service::backends
  std::optional<CertainChoice> choice;
  std::string no_backend;          // what happens for want of a backend; empty: there is one
  std::vector<std::string> notes;  // what else bears upon the choice
  std::vector<PacketStep> steps;   // of the first packet, then of all others
};

// `availability`: of each service, in order. `rules`: planned from the services with the weights that
// `availability` leaves them.
Explanation explain(const ExplainQuestion& question, const std::vector<core::Service>& services,
                    const std::vector<core::Availability>& availability, const rules::RuleSet& rules,
                    const ClientMemory& memory = {});

// GET /v1/explain answers this.
boost::json::value to_json(const Explanation& explanation);

// "10.0.0.10:40000", "10.0.0.10" for protocols without ports.
std::string source_text(const core::FlowKey& flow);
std::string destination_text(const core::FlowKey& flow);
// "tcp", "icmp" (of either family), or the number.
std::string protocol_text(const core::FlowKey& flow);
bool is_icmp(const core::FlowKey& flow);

}  // namespace nfsteer::explain
