#include "plan/service_rules.hpp"

#include <algorithm>
#include <set>

#include "core/queue_layout.hpp"
#include "plan/queue_spreading.hpp"

namespace nfsteer::rules {

namespace {

using core::Mode;
using core::Protocol;
using core::QueueGroup;

// A packet whose destination now is the service. Protocol `any`: of every protocol.
Rule to_service(const core::Service& service, Protocol protocol) {
  Rule rule;
  rule.destination = Destination{Prefix::host(service.vip)};
  rule.protocol = protocol;
  if (service.port != 0) rule.matches.emplace_back(DestinationPort{{service.port, service.port}});
  return rule;
}

Rule to_service(const core::Service& service) {
  return to_service(service, service.protocol);
}

// A connection that was opened to the service.
Conntrack opened_to(const core::Service& service) {
  Conntrack conntrack;
  conntrack.original_destination = Prefix::host(service.vip);
  if (service.port != 0) conntrack.original_port = PortRange{service.port, service.port};
  return conntrack;
}

Rule finish(Rule rule, const core::Service& service, Target target) {
  rule.matches.emplace_back(Comment{service.name});  // last: it always matches, so it costs nothing before
  rule.target = std::move(target);
  return rule;
}

// How much of a service's traffic its mode queues; more holds all of less.
int queued_share(const core::Service& service) {
  switch (service.mode) {
    case Mode::dnat:
      return 0;
    case Mode::connection:
      return 1;
    case Mode::inspect:
    case Mode::rewrite:
      return 2;
  }
  return 0;
}

bool rejects_or_drops(const core::Service& service) {
  return !service.has_usable_backend() && service.on_no_backend != core::OnNoBackend::pass;
}

template <typename Predicate>
bool any_of(WiderServices services, Predicate predicate) {
  return std::any_of(services.begin(), services.end(),
                     [&](const auto* service) { return predicate(*service); });
}

// The ports that the service's connections may arrive at; 0 stands for "the one the client asked for".
std::set<std::uint16_t> backend_ports(const core::Service& service) {
  std::set<std::uint16_t> ports;
  for (const core::Backend& backend : service.backends) {
    ports.insert(service.port_at(backend));
  }
  if (ports.empty()) ports.insert(service.port);
  return ports;
}

}  // namespace

std::vector<Rule> queue_rules(const core::Service& service, WiderServices wider) {
  std::vector<Rule> rules;
  const int share = queued_share(service);
  if (share >= 1) {
    Rule rule = to_service(service);
    Conntrack is_new;
    is_new.states = Conntrack::kNew;
    Conntrack not_bound;  // one-way UDP flows stay NEW until a reply comes, yet have their backend
    not_bound.states = Conntrack::kDnat;
    not_bound.not_states = true;
    rule.matches.emplace_back(is_new);
    rule.matches.emplace_back(not_bound);
    rules.push_back(finish(std::move(rule), service, Goto{queue_chain_name(QueueGroup::first)}));
  }
  if (share >= 2) {
    const QueueGroup group = service.mode == Mode::inspect ? QueueGroup::inspect : QueueGroup::rewrite;
    Rule rule = to_service(service);
    Conntrack later;
    later.states = Conntrack::kNew | Conntrack::kEstablished;
    later.original_direction = true;
    rule.matches.emplace_back(later);
    rules.push_back(finish(std::move(rule), service, Goto{queue_chain_name(group)}));
  }
  if (any_of(wider, [&](const core::Service& other) { return queued_share(other) > share; })) {
    rules.push_back(finish(to_service(service), service, Return{}));
  }
  return rules;
}

std::vector<Rule> translation_rules(const core::Service& service, WiderServices wider,
                                    const TranslationChains& chains) {
  std::vector<Rule> rules;
  const auto add_binding = [&](Rule rule) {
    rule.destination = Destination{Prefix::host(service.vip), true};
    rule.protocol = service.protocol;
    rule.matches.emplace(rule.matches.begin(), opened_to(service));
    Target target = std::move(rule.target);
    rules.push_back(finish(std::move(rule), service, std::move(target)));
  };
  if (chains.bindings) {
    Rule rule;
    rule.target = Jump{*chains.bindings};
    add_binding(std::move(rule));
  }
  const std::set<std::uint16_t> ports = backend_ports(service);
  const bool ports_mapped = ports != std::set{service.port};
  for (std::uint16_t port : ports) {
    add_binding(netmap_rule(service, port, ports_mapped));
  }
  if (chains.ladder) {
    rules.push_back(finish(to_service(service), service, Goto{*chains.ladder}));
  } else if (!wider.empty()) {
    rules.push_back(finish(to_service(service), service, Return{}));
  }
  return rules;
}

Rule dnat_rule(const core::Service& service, const core::Backend& backend) {
  const bool other_port = backend.port != 0 && backend.port != service.port;
  // iptables-restore takes a port only in a rule that names the protocol.
  return {.destination = {},
          .protocol = other_port ? service.protocol : Protocol::any,
          .matches = {},
          .target = Dnat{backend.address, other_port ? backend.port : std::uint16_t{0}}};
}

Rule netmap_rule(const core::Service& service, std::uint16_t port, bool ask_port) {
  Rule rule;
  rule.protocol = service.protocol;
  if (ask_port) rule.matches.emplace_back(DestinationPort{{port, port}});
  rule.target = Netmap{port == service.port ? std::uint16_t{0} : port};
  return rule;
}

std::vector<Rule> masquerade_rules(const core::Service& service, WiderServices wider) {
  const bool kept_from_wider = any_of(wider, [](const core::Service& other) { return other.masquerade; });
  if (!service.masquerade && !kept_from_wider) return {};
  Rule rule;
  rule.protocol = service.protocol;
  Conntrack translated = opened_to(service);
  translated.states = Conntrack::kDnat;
  rule.matches.emplace_back(translated);
  return {finish(std::move(rule), service, service.masquerade ? Target{Masquerade{}} : Target{Return{}})};
}

std::vector<Rule> no_backend_rules(const core::Service& service, WiderServices wider) {
  if (!rejects_or_drops(service)) {
    if (!any_of(wider, rejects_or_drops)) return {};
    return {finish(to_service(service), service, Return{})};
  }
  std::vector<Rule> rules;
  auto add = [&](Protocol protocol, Target target) {
    Rule rule = to_service(service, protocol);
    Conntrack is_new;
    is_new.states = Conntrack::kNew;
    rule.matches.emplace_back(is_new);
    rules.push_back(finish(std::move(rule), service, std::move(target)));
  };
  if (service.on_no_backend == core::OnNoBackend::drop) {
    add(service.protocol, Drop{});
    return rules;
  }
  const bool may_be_tcp = service.protocol == Protocol::tcp || service.protocol == Protocol::any;
  if (may_be_tcp) add(Protocol::tcp, Reject{Reject::With::tcp_reset});
  if (service.protocol != Protocol::tcp) add(service.protocol, Reject{Reject::With::port_unreachable});
  return rules;
}

}  // namespace nfsteer::rules
