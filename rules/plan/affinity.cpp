#include "plan/affinity.hpp"

#include <algorithm>
#include <cassert>
#include <set>
#include <utility>
#include <vector>

#include "plan/dispatch_tree.hpp"
#include "plan/service_rules.hpp"

namespace nfsteer::rules {

namespace {

std::uint8_t prefix_of(const core::Service& service) {
  return service.vip.is_v4() ? service.affinity->ipv4_prefix : service.affinity->ipv6_prefix;
}

// Those that may take connections; of several that are one endpoint the first.
std::vector<core::Backend> usable(const core::Service& service) {
  std::vector<core::Backend> backends;
  std::set<std::string> lists;
  std::copy_if(service.backends.begin(), service.backends.end(), std::back_inserter(backends),
               [&](const core::Backend& backend) {
                 return backend.weight > 0 && lists.insert(affinity_list(service, backend)).second;
               });
  assert(!backends.empty());
  return backends;
}

Recent recent(const core::Service& service, std::string list, Recent::Act act) {
  const bool timed = act != Recent::Act::enter;
  return {std::move(list), prefix_of(service), act,
          timed ? static_cast<std::uint32_t>(service.affinity->timeout.count()) : 0U};
}

// The list of the backend's group; empty: the service has none. All backends count, whatever their weight, so
// that a backend's absence for a while makes no difference.
std::string group_list(const core::Service& service, const core::Backend& backend) {
  if (service.backends.size() <= kAffinityListMax) return {};
  const std::uint32_t hash = stable_hash(affinity_list(service, backend));
  return "nfsteer-" + service.name + "-group" + std::to_string((hash ^ hash >> 16) % kAffinityGroups) + '-' +
         std::to_string(prefix_of(service));
}

// Leads the backend's clients to it.
Rule stay(const core::Service& service, const core::Backend& backend) {
  Rule rule = dnat_rule(service, backend);
  rule.matches.emplace_back(recent(service, affinity_list(service, backend), Recent::Act::refresh));
  if (std::string group = group_list(service, backend); !group.empty())
    rule.matches.emplace_back(recent(service, std::move(group), Recent::Act::enter));
  return rule;
}

}  // namespace

std::string affinity_list(const core::Service& service, const core::Backend& backend) {
  // Readable from the right: neither numbers nor addresses hold a dash.
  std::string name = "nfsteer-" + service.name + '-' + backend.address.to_string();
  name.append(1, '-').append(std::to_string(service.port_at(backend)));
  return name.append(1, '-').append(std::to_string(prefix_of(service)));
}

void add_affinity_entry(const core::Service& service, const core::Backend& backend, Rule& rule) {
  rule.matches.emplace_back(recent(service, affinity_list(service, backend), Recent::Act::enter));
  if (std::string group = group_list(service, backend); !group.empty())
    rule.matches.emplace_back(recent(service, std::move(group), Recent::Act::enter));
}

std::string add_affinity_lookup(const core::Service& service, const std::string& ladder, ChainNames& names,
                                std::map<std::string, Chain>& chains) {
  std::map<std::string, Chain> by_group;
  for (const core::Backend& backend : usable(service))
    by_group[group_list(service, backend)].push_back(stay(service, backend));
  Chain chain;
  for (auto& [group, stays] : by_group) {
    if (group.empty()) {
      chain = std::move(stays);
      break;
    }
    // A jump: a client that has moved on to another group is in the list of this one for a while.
    Rule rule;
    rule.matches.emplace_back(recent(service, group, Recent::Act::ask));
    rule.target = Jump{names.make(service.name, "affinity " + service.name + ' ' + group)};
    chains.emplace(std::get<Jump>(rule.target).chain, std::move(stays));
    chain.push_back(std::move(rule));
  }
  Rule rest;
  rest.target = Goto{ladder};
  chain.push_back(std::move(rest));
  std::string name = names.make(service.name, "affinity " + service.name);
  chains.emplace(name, std::move(chain));
  return name;
}

std::string add_affinity_bindings(const core::Service& service, ChainNames& names,
                                  std::map<std::string, Chain>& chains) {
  std::map<core::IpAddress, VipRules> by_address;
  for (const core::Backend& backend : usable(service)) {
    Rule rule = netmap_rule(service, service.port_at(backend), service.port != 0);
    rule.destination = Destination{Prefix::host(backend.address)};
    add_affinity_entry(service, backend, rule);
    rule.matches.emplace_back(Comment{service.name});
    VipRules& at = by_address[backend.address];
    at.vip = backend.address;
    at.services.push_back({service.protocol, service.port_at(backend), {std::move(rule)}});
  }
  std::vector<VipRules> backends;
  for (auto& [address, rules] : by_address)
    backends.push_back(std::move(rules));
  std::string name = names.make(service.name, "affinity bindings " + service.name);
  add_dispatch(name, std::move(backends), LookAt::packet, names, chains);
  return name;
}

}  // namespace nfsteer::rules
