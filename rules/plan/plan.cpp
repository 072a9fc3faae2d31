#include "plan/plan.hpp"

#include <algorithm>
#include <cassert>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "plan/affinity.hpp"
#include "plan/chain_names.hpp"
#include "plan/dispatch_tree.hpp"
#include "plan/ladder.hpp"
#include "plan/queue_spreading.hpp"
#include "plan/service_rules.hpp"

namespace nfsteer::rules {

namespace {

using ServiceList = std::vector<const core::Service*>;
using EmitRules = std::function<std::vector<Rule>(const core::Service&, WiderServices)>;

const std::string kRoot{kChainPrefix};
const std::string kMasqueradeRoot = kRoot + "-MASQ";

// The services of one family, grouped by VIP, most specific first.
std::vector<ServiceList> by_vip(std::span<const core::Service> services, Family family) {
  ServiceList sorted;
  for (const core::Service& service : services) {
    if (service.vip.family() == family) sorted.push_back(&service);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return std::tuple(a->vip, -core::specificity(*a), a->protocol, a->port) <
           std::tuple(b->vip, -core::specificity(*b), b->protocol, b->port);
  });
  std::vector<ServiceList> vips;
  for (const auto* service : sorted) {
    if (vips.empty() || vips.back().front()->vip != service->vip) vips.emplace_back();
    vips.back().push_back(service);
  }
  return vips;
}

bool covers(const core::Service& wide, const core::Service& narrow) {
  return wide.port == 0 && (wide.protocol == core::Protocol::any || wide.protocol == narrow.protocol);
}

std::vector<VipRules> collect(const std::vector<ServiceList>& vips, const EmitRules& emit) {
  std::vector<VipRules> result;
  for (const ServiceList& services : vips) {
    VipRules vip{services.front()->vip, {}};
    for (std::size_t i = 0; i < services.size(); ++i) {
      ServiceList wider;
      std::copy_if(services.begin() + static_cast<std::ptrdiff_t>(i) + 1, services.end(),
                   std::back_inserter(wider),
                   [&](const auto* other) { return covers(*other, *services[i]); });
      std::vector<Rule> rules = emit(*services[i], wider);
      if (!rules.empty())
        vip.services.push_back({services[i]->protocol, services[i]->port, std::move(rules)});
    }
    if (!vip.services.empty()) result.push_back(std::move(vip));
  }
  return result;
}

class FamilyPlan {
 public:
  FamilyPlan(Family family, std::span<const core::Service> services, RuleSet& rules)
      : family_(family), vips_(by_vip(services, family)), rules_(rules) {}

  void add_mangle(const core::QueueLayout& queues, bool by_port) {
    Table table;
    ChainNames names;
    if (!add_tree(kRoot, LookAt::packet, {BuiltIn::prerouting, BuiltIn::output}, names, table, queue_rules))
      return;
    std::set<core::QueueGroup> groups;
    for (const ServiceList& services : vips_) {
      for (const auto* service : services) {
        if (service->mode != core::Mode::dnat) groups.insert(core::QueueGroup::first);
        if (service->mode == core::Mode::inspect) groups.insert(core::QueueGroup::inspect);
        if (service->mode == core::Mode::rewrite) groups.insert(core::QueueGroup::rewrite);
      }
    }
    for (core::QueueGroup group : groups) {
      add_queue_chains(family_, queues, group, by_port, table.chains);
    }
    keep(TableName::mangle, std::move(table));
  }

  void add_nat() {
    Table table;
    ChainNames names;
    add_tree(kRoot, LookAt::original, {BuiltIn::prerouting, BuiltIn::output}, names, table,
             [&](const core::Service& service, WiderServices wider) {
               return translation_rules(service, wider, add_translation_chains(service, names, table));
             });
    add_tree(kMasqueradeRoot, LookAt::original, {BuiltIn::postrouting}, names, table, masquerade_rules);
    keep(TableName::nat, std::move(table));
  }

  void add_filter() {
    Table table;
    ChainNames names;
    add_tree(kRoot, LookAt::packet, {BuiltIn::input, BuiltIn::forward, BuiltIn::output}, names, table,
             no_backend_rules);
    keep(TableName::filter, std::move(table));
  }

 private:
  static TranslationChains add_translation_chains(const core::Service& service, ChainNames& names,
                                                  Table& table) {
    TranslationChains chains;
    if (!service.has_usable_backend()) return chains;
    chains.ladder = add_ladder(service, names, table.chains);
    if (!service.affinity) return chains;
    chains.ladder = add_affinity_lookup(service, *chains.ladder, names, table.chains);
    chains.bindings = add_affinity_bindings(service, names, table.chains);
    return chains;
  }

  // False: no service has a rule to add, so there is no tree.
  bool add_tree(const std::string& root, LookAt look_at, std::initializer_list<BuiltIn> entries,
                ChainNames& names, Table& table, const EmitRules& emit) {
    std::vector<VipRules> vips = collect(vips_, emit);
    if (vips.empty()) return false;
    add_dispatch(root, std::move(vips), look_at, names, table.chains);
    for (BuiltIn entry : entries) {
      table.jumps.emplace(entry, root);
    }
    return true;
  }

  void keep(TableName name, Table table) {
    if (!table.empty()) rules_.tables.emplace(TableId{family_, name}, std::move(table));
  }

  Family family_;
  std::vector<ServiceList> vips_;
  RuleSet& rules_;
};

}  // namespace

RuleSet plan(std::span<const core::Service> services, const core::QueueLayout& queues,
             const PlanOptions& options) {
  RuleSet rules;
  for (Family family : {Family::ipv4, Family::ipv6}) {
    FamilyPlan plan(family, services, rules);
    if (options.queueing) plan.add_mangle(queues, options.spread_by_port);
    plan.add_nat();
    plan.add_filter();
  }
  return rules;
}

}  // namespace nfsteer::rules
