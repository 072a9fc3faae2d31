#include "explain/explain.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "explain/steps.hpp"

namespace nfsteer::explain {
namespace {

using core::BackendState;
using core::Protocol;
using core::Service;

// What of the flow is not the service's; empty: the service takes it, unless a more specific one does.
std::string obstacle(const Service& service, const core::FlowKey& flow) {
  if (service.protocol != Protocol::any && static_cast<std::uint8_t>(service.protocol) != flow.protocol)
    return fmt::format("it takes {} only", core::to_string(service.protocol));
  if (service.port != 0 && service.port != flow.destination_port)
    return fmt::format("it takes port {} only", service.port);
  return {};
}

std::string_view scope_text(const Service& service) {
  switch (core::specificity(service)) {
    case 2:
      return "protocol and port are its own";
    case 1:
      return "it takes every port of this protocol";
    default:
      return "it takes every protocol and port of the VIP";
  }
}

// Of each service on the VIP what becomes of the flow there; the first that `takes` is the one, by index.
std::vector<std::pair<std::size_t, ServiceCandidate>> candidates(const std::vector<Service>& services,
                                                                 const core::FlowKey& flow) {
  std::vector<std::size_t> on_vip;
  for (std::size_t i = 0; i < services.size(); ++i)
    if (services[i].vip == flow.destination_address()) on_vip.push_back(i);
  std::ranges::stable_sort(on_vip, [&](std::size_t a, std::size_t b) {
    return core::specificity(services[a]) > core::specificity(services[b]);
  });
  std::vector<std::pair<std::size_t, ServiceCandidate>> found;
  const Service* taker = nullptr;
  for (const std::size_t index : on_vip) {
    const Service& service = services[index];
    ServiceCandidate each{service.name, service.protocol, service.port, false, obstacle(service, flow)};
    if (each.reason.empty() && taker == nullptr) {
      each.takes = true;
      each.reason = scope_text(service);
      taker = &service;
    } else if (each.reason.empty()) {
      each.reason =
          fmt::format("{}, but {} is more specific: a port goes before a protocol, a protocol before any",
                      scope_text(service), taker->name);
    }
    found.emplace_back(index, std::move(each));
  }
  return found;
}

std::string reason_of(const BackendChance& each, bool panic) {
  const bool used = each.effective_weight > 0;
  switch (each.state) {
    case BackendState::draining:
      return "drained: nothing new, its open connections go on";
    case BackendState::standby:
      return "a backup, and another backend can be used";
    case BackendState::maintenance:
      return "in maintenance: nothing new, no health checks";
    case BackendState::starting:
      return used ? "no health check has ended yet, but too few are healthy: panic, all are used"
                  : "new: its first good health check is still to come";
    case BackendState::down:
      return used ? "its health checks fail, but too few are healthy: panic, all are used"
                  : "its health checks fail";
    case BackendState::active:
    case BackendState::filling:
      break;
  }
  if (!used) return each.backend.weight == 0 ? "weight 0: no new connections" : "not used now";
  if (each.state == BackendState::filling && !panic)
    return "slow start: it has just come (back) and takes a growing part of its share";
  return {};
}

std::vector<BackendChance> chances(const Service& service, const core::Availability& availability,
                                   const core::FlowKey& flow) {
  std::uint64_t sum = 0;
  for (const core::Backend& each : availability.backends)
    sum += each.weight;
  std::vector<BackendChance> all;
  all.reserve(service.backends.size());
  for (std::size_t i = 0; i < service.backends.size(); ++i) {
    BackendChance& each = all.emplace_back();
    each.backend = service.backends[i];
    const std::uint16_t port = service.port_at(each.backend);
    each.port = port != 0 ? port : flow.destination_port;
    each.effective_weight = availability.backends[i].weight;
    each.state = availability.states[i];
    if (sum > 0) each.probability = static_cast<double>(each.effective_weight) / static_cast<double>(sum);
    each.reason = reason_of(each, availability.panic);
  }
  return all;
}

std::string_view meaning_of(core::Mode mode) {
  switch (mode) {
    case core::Mode::dnat:
      return "the kernel alone chooses and translates, the engine sees no packet";
    case core::Mode::connection:
      return "the engine sees the first packet of each connection and chooses, the kernel carries the rest";
    case core::Mode::inspect:
      return "the engine chooses on the first packet and sees the headers of every later one from client to "
             "VIP, "
             "the kernel translates them";
    case core::Mode::rewrite:
      return "the engine chooses on the first packet and rewrites every one from client to VIP itself";
  }
  return {};
}

std::string_view meaning_of(core::OnNoBackend choice) {
  switch (choice) {
    case core::OnNoBackend::reject:
      return "no backend may take it, and on_no_backend is reject: the client is told at once";
    case core::OnNoBackend::drop:
      return "no backend may take it, and on_no_backend is drop: the packet is gone without an answer";
    case core::OnNoBackend::pass:
      return "no backend may take it, and on_no_backend is pass: the packet goes on to the VIP itself";
  }
  return {};
}

std::optional<CertainChoice> only_backend(const std::vector<BackendChance>& backends) {
  const auto usable = [](const BackendChance& each) { return each.effective_weight > 0; };
  if (std::ranges::count_if(backends, usable) != 1) return std::nullopt;
  const auto only = std::ranges::find_if(backends, usable);
  return CertainChoice{static_cast<std::size_t>(only - backends.begin()), "the only one that may take it"};
}

std::vector<std::string> notes_on(const Service& service, const core::Availability& availability) {
  std::vector<std::string> notes;
  if (availability.panic)
    notes.push_back(fmt::format("panic: less than {}% of the backends are healthy, so health does not count",
                                service.health ? service.health->panic_threshold : 0));
  if (availability.on_backup) notes.emplace_back("the backups are used: no other backend can be");
  if (service.affinity)
    notes.push_back(
        fmt::format("affinity: a client (/{}) goes where its last connection went, for {} s after it",
                    service.vip.is_v4() ? service.affinity->ipv4_prefix : service.affinity->ipv6_prefix,
                    service.affinity->timeout.count()));
  return notes;
}

// An echo request's identifier is not known here, and may decide.
std::optional<CertainChoice> chosen_by_policy(const Service& service, const core::FlowKey& flow,
                                              const ClientMemory& memory) {
  if (!memory.policy || service.mode == core::Mode::dnat || is_icmp(flow)) return std::nullopt;
  const auto index = memory.policy(service, flow);
  if (!index || *index >= service.backends.size()) return std::nullopt;
  return CertainChoice{*index, fmt::format("policy: {} chooses by the flow alone", service.policy.name)};
}

}  // namespace

Explanation explain(const ExplainQuestion& question, const std::vector<Service>& services,
                    const std::vector<core::Availability>& availability, const rules::RuleSet& rules,
                    const ClientMemory& memory) {
  assert(availability.size() == services.size());
  Explanation result;
  result.question = question;
  std::size_t taker = services.size();
  for (auto& [index, candidate] : candidates(services, question.flow)) {
    if (candidate.takes) taker = index;
    result.candidates.push_back(std::move(candidate));
  }
  if (taker == services.size()) return result;

  const Service& service = services[taker];
  result.service = service;
  result.mode_meaning = meaning_of(service.mode);
  result.policy_meaning = service.mode == core::Mode::dnat
                              ? "not asked in this mode: the ladder chooses by weighted chance"
                              : "asked once for each new connection";
  result.backends = chances(service, availability[taker], question.flow);
  result.notes = notes_on(service, availability[taker]);
  if (std::ranges::none_of(result.backends, [](const auto& each) { return each.effective_weight > 0; }))
    result.no_backend = meaning_of(service.on_no_backend);
  result.choice = only_backend(result.backends);
  if (!result.choice && memory.choice && service.affinity) {
    Service effective = service;
    effective.backends = availability[taker].backends;
    result.choice = memory.choice(effective, question.flow);
  }
  if (!result.choice && result.no_backend.empty())
    result.choice = chosen_by_policy(service, question.flow, memory);
  result.steps = steps_of(result, rules, memory);
  return result;
}

bool is_icmp(const core::FlowKey& flow) {
  return flow.protocol == (flow.family == core::Family::ipv4 ? IPPROTO_ICMP : int{IPPROTO_ICMPV6});
}

std::string protocol_text(const core::FlowKey& flow) {
  if (is_icmp(flow)) return "icmp";
  const auto name = core::to_string(static_cast<Protocol>(flow.protocol));
  return name == "?" ? std::to_string(flow.protocol) : std::string(name);
}

std::string source_text(const core::FlowKey& flow) {
  return core::endpoint_text(flow.source_address(), is_icmp(flow) ? std::uint16_t{0} : flow.source_port);
}

std::string destination_text(const core::FlowKey& flow) {
  return core::endpoint_text(flow.destination_address(), flow.destination_port);
}

}  // namespace nfsteer::explain
