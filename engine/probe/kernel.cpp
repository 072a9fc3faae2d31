#include "probe/kernel.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "iptc/features.hpp"
#include "iptc/load_tables.hpp"
#include "netlink/kernel_probe.hpp"
#include "tracking/conntrack_use.hpp"

namespace nfsteer::probe {
namespace {

using core::Family;
using core::Protocol;
using Kind = rules::Feature::Kind;

struct Use {
  Kind kind;
  std::string_view name;
  bool needed;
  std::string_view without;
};

constexpr std::string_view kNoService = "no service";
constexpr std::string_view kOnlyDnat = "only mode dnat";

// Of rules::features_of(one_of_each()), in the order in which people want to read it.
constexpr std::array kUses{
    Use{Kind::table, "nat", true, kNoService},
    Use{Kind::table, "mangle", true, kOnlyDnat},
    Use{Kind::table, "filter", false, "no reject or drop where a service has no backend"},
    Use{Kind::target, "NFQUEUE", true, kOnlyDnat},
    Use{Kind::target, "NETMAP", true, kNoService},
    Use{Kind::target, "DNAT", true, kNoService},
    Use{Kind::target, "REJECT", false, "no reject where a service has no backend"},
    Use{Kind::target, "MASQUERADE", false, "no masquerade"},
    Use{Kind::match, "conntrack", true, kNoService},
    Use{Kind::match, "comment", true, kNoService},
    Use{Kind::match, "statistic", true, "no service of more than one backend"},
    Use{Kind::match, "tcp", true, "no TCP service on one port"},
    Use{Kind::match, "udp", true, "no UDP service on one port"},
    Use{Kind::match, "sctp", false, "no SCTP service on one port"},
    Use{Kind::match, "recent", false, "no affinity"},
    Use{Kind::match, "bpf", false, "one worker for all connections of a client"},
};

std::string_view kind_text(Kind kind) {
  switch (kind) {
    case Kind::table:
      return "table ";
    case Kind::match:
      return "match ";
    case Kind::target:
      return "target ";
  }
  return "";
}

// Rules that mean nothing, but hold everything that rules of ours can hold.
rules::RuleSet one_of_each(Family family) {
  const std::array<rules::Match, 5> matches{rules::Conntrack{}, rules::Statistic{}, rules::Bpf{},
                                            rules::Recent{}, rules::Comment{}};
  const std::array<rules::Target, 5> targets{rules::Nfqueue{}, rules::Netmap{}, rules::Dnat{},
                                             rules::Masquerade{}, rules::Reject{}};
  rules::Chain chain;
  const auto add = [&chain](Protocol protocol, std::vector<rules::Match> asked, rules::Target target) {
    rules::Rule rule;
    rule.protocol = protocol;
    rule.matches = std::move(asked);
    rule.target = std::move(target);
    chain.push_back(std::move(rule));
  };
  for (const rules::Match& match : matches)
    add(Protocol::any, {match}, rules::Return{});
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp})
    add(protocol, {rules::DestinationPort{}}, rules::Return{});
  for (const rules::Target& target : targets)
    add(Protocol::tcp, {}, target);
  rules::RuleSet set;
  for (const rules::TableName name :
       {rules::TableName::nat, rules::TableName::mangle, rules::TableName::filter})
    set.tables[{family, name}].chains["NFSTEER"] = chain;
  return set;
}

core::Result<void> add_rules(Kernel& kernel, Family family) {
  rules::load_tables(family);
  const std::vector<rules::Feature> features = rules::features_of(one_of_each(family));
  for (const Use& use : kUses) {
    const auto feature = std::ranges::find_if(features, [&use](const rules::Feature& each) {
      return each.kind == use.kind && each.name == use.name;
    });
    const auto has = rules::kernel_has(*feature);
    if (!has) return tl::unexpected(has.error());
    kernel.items.push_back({.name = std::string(kind_text(use.kind)) + std::string(use.name),
                            .family = family,
                            .available = *has,
                            .needed = use.needed,
                            .without = std::string(use.without),
                            .mend = rules::mend_for(*feature)});
  }
  return {};
}

// That they are not there shows in no error of a socket.
Item events_item(bool has_table) {
  const int setting = tracking::conntrack_events_setting();
  Item item{.name = "events of connections",
            .family = {},
            .available = has_table && setting > 0,
            .needed = false,
            .without = "connections are not counted, as with --no-track-connections",
            .mend = "use a kernel with CONFIG_NF_CONNTRACK_EVENTS"};
  if (setting == 0) item.mend = "set net.netfilter.nf_conntrack_events to 2, its default";
  return item;
}

core::Result<void> add_netlink(Kernel& kernel) {
  const auto queues = netlink::has_queues();
  if (!queues) return tl::unexpected(queues.error());
  const auto tells = netlink::queues_tell_connections();
  if (!tells) return tl::unexpected(tells.error());
  const auto table = netlink::has_connection_table();
  if (!table) return tl::unexpected(table.error());
  kernel.items.push_back(
      {.name = "queues for user space",
       .family = {},
       .available = *queues,
       .needed = true,
       .without = "no engine",
       .mend = "load kernel module nfnetlink_queue or use a kernel with CONFIG_NETFILTER_NETLINK_QUEUE"});
  kernel.items.push_back({.name = "queues that tell a packet's connection",
                          .family = {},
                          .available = *tells,
                          .needed = false,
                          .without = "nothing is lost, the engine does not use it",
                          .mend = "use a kernel with CONFIG_NETFILTER_NETLINK_GLUE_CT"});
  kernel.items.push_back(
      {.name = "table of connections",
       .family = {},
       .available = *table,
       .needed = false,
       .without = "connections are not counted, and those of a lost backend not ended",
       .mend = "load kernel module nf_conntrack_netlink or use a kernel with CONFIG_NF_CT_NETLINK"});
  kernel.items.push_back(events_item(*table));
  return {};
}

}  // namespace

bool Kernel::serves(Family family) const {
  return std::ranges::all_of(items, [family](const Item& each) {
    return each.available || !each.needed || (each.family && *each.family != family);
  });
}

core::Result<Kernel> ask_kernel() {
  utsname name{};
  uname(&name);
  Kernel kernel{.release = name.release, .items = {}};
  for (const Family family : {Family::ipv4, Family::ipv6})
    if (auto added = add_rules(kernel, family); !added) return tl::unexpected(added.error());
  if (auto added = add_netlink(kernel); !added) return tl::unexpected(added.error());
  return kernel;
}

}  // namespace nfsteer::probe
