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

}  // namespace

std::string affinity_list(const core::Service& service, const core::Backend& backend) {
  // Readable from the right: neither numbers nor addresses hold a dash.
  std::string name = "nfsteer-" + service.name + '-' + backend.address.to_string();
  name.append(1, '-').append(std::to_string(service.port_at(backend)));
  return name.append(1, '-').append(std::to_string(prefix_of(service)));
}

Recent affinity_entry(const core::Service& service, const core::Backend& backend) {
  return {affinity_list(service, backend), prefix_of(service), std::nullopt};
}

std::string add_affinity_lookup(const core::Service& service, const std::string& ladder, ChainNames& names,
                                std::map<std::string, Chain>& chains) {
  Chain chain;
  for (const core::Backend& backend : usable(service)) {
    Rule rule = dnat_rule(service, backend);
    Recent seen = affinity_entry(service, backend);
    seen.within_s = static_cast<std::uint32_t>(service.affinity->timeout.count());
    rule.matches.emplace_back(std::move(seen));
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
    rule.matches.emplace_back(affinity_entry(service, backend));
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
