#include "iptc/features.hpp"

#include <cerrno>
#include <cstring>
#include <set>

#include "iptc/encode.hpp"
#include "iptc/tables_socket.hpp"
#include "iptc/xtables.hpp"

namespace nfsteer::rules {

namespace {

using Kind = Feature::Kind;

Feature match_feature(Family family, std::string_view name, std::uint8_t revision, std::string_view module,
                      std::string_view option) {
  return {family, Kind::match, name, revision, module, option};
}

Feature bpf_feature(Family family) {
  return match_feature(family, "bpf", revision::kBpf, "xt_bpf", "CONFIG_NETFILTER_XT_MATCH_BPF");
}

struct MatchFeature {
  Family family;
  core::Protocol protocol;

  Feature operator()(const DestinationPort&) const {
    if (protocol == core::Protocol::sctp) {
      return match_feature(family, "sctp", revision::kPorts, "xt_sctp", "CONFIG_NETFILTER_XT_MATCH_SCTP");
    }
    return match_feature(family, core::to_string(protocol), revision::kPorts, "xt_tcpudp",
                         "CONFIG_NETFILTER_XTABLES");
  }
  Feature operator()(const Conntrack&) const {
    return match_feature(family, "conntrack", revision::kConntrack, "xt_conntrack",
                         "CONFIG_NETFILTER_XT_MATCH_CONNTRACK");
  }
  Feature operator()(const Statistic&) const {
    return match_feature(family, "statistic", revision::kStatistic, "xt_statistic",
                         "CONFIG_NETFILTER_XT_MATCH_STATISTIC");
  }
  Feature operator()(const Bpf&) const { return bpf_feature(family); }
  Feature operator()(const Recent&) const {
    return match_feature(family, "recent", revision::kRecent, "xt_recent",
                         "CONFIG_NETFILTER_XT_MATCH_RECENT");
  }
  Feature operator()(const Comment&) const {
    return match_feature(family, "comment", revision::kComment, "xt_comment",
                         "CONFIG_NETFILTER_XT_MATCH_COMMENT");
  }
};

struct TargetFeature {
  Family family;

  Feature target(std::string_view name, std::uint8_t revision, std::string_view module,
                 std::string_view option) const {
    return {family, Kind::target, name, revision, module, option};
  }
  // Jumps and verdicts are in every kernel that has tables.
  std::optional<Feature> operator()(const Jump&) const { return {}; }
  std::optional<Feature> operator()(const Goto&) const { return {}; }
  std::optional<Feature> operator()(const Return&) const { return {}; }
  std::optional<Feature> operator()(const Drop&) const { return {}; }
  std::optional<Feature> operator()(const Nfqueue&) const {
    return target("NFQUEUE", revision::kNfqueue, "xt_NFQUEUE", "CONFIG_NETFILTER_XT_TARGET_NFQUEUE");
  }
  std::optional<Feature> operator()(const Netmap&) const {
    return target("NETMAP", revision::kNetmap, "xt_NETMAP", "CONFIG_NETFILTER_XT_TARGET_NETMAP");
  }
  std::optional<Feature> operator()(const Dnat&) const {
    return target("DNAT", revision::kDnat, "xt_nat", "CONFIG_NETFILTER_XT_NAT");
  }
  std::optional<Feature> operator()(const Masquerade&) const {
    return target("MASQUERADE", revision::kMasquerade, "xt_MASQUERADE",
                  "CONFIG_NETFILTER_XT_TARGET_MASQUERADE");
  }
  std::optional<Feature> operator()(const Reject&) const {
    return family == Family::ipv4
               ? target("REJECT", revision::kReject, "ipt_REJECT", "CONFIG_IP_NF_TARGET_REJECT")
               : target("REJECT", revision::kReject, "ip6t_REJECT", "CONFIG_IP6_NF_TARGET_REJECT");
  }
};

std::string text_of(const Feature& feature) {
  const std::string family = feature.family == Family::ipv4 ? "IPv4" : "IPv6";
  const std::string name(feature.name);
  switch (feature.kind) {
    case Kind::table:
      return "legacy " + family + " table " + name;
    case Kind::match:
      return family + " match " + name + " revision " + std::to_string(feature.revision);
    case Kind::target:
      return family + " target " + name + " revision " + std::to_string(feature.revision);
  }
  return name;
}

template <typename Name>
void put_name(std::string_view name, Name& out) {
  std::memcpy(out, name.data(), std::min(name.size(), sizeof out - 1));
}

}  // namespace

Feature table_feature(const TableId& id) {
  const bool v4 = id.family == Family::ipv4;
  const auto feature = [&](std::string_view module, std::string_view option) {
    return Feature{id.family, Kind::table, to_string(id.name), 0, module, option};
  };
  switch (id.name) {
    case TableName::mangle:
      return v4 ? feature("iptable_mangle", "CONFIG_IP_NF_MANGLE")
                : feature("ip6table_mangle", "CONFIG_IP6_NF_MANGLE");
    case TableName::nat:
      return v4 ? feature("iptable_nat", "CONFIG_IP_NF_NAT") : feature("ip6table_nat", "CONFIG_IP6_NF_NAT");
    case TableName::filter:
      break;
  }
  return v4 ? feature("iptable_filter", "CONFIG_IP_NF_FILTER")
            : feature("ip6table_filter", "CONFIG_IP6_NF_FILTER");
}

std::vector<Feature> features_of(const RuleSet& rules) {
  std::set<Feature> features;
  for (const auto& [id, table] : rules.tables) {
    features.insert(table_feature(id));
    for (const auto& [name, chain] : table.chains) {
      for (const Rule& rule : chain) {
        for (const Match& match : rule.matches) {
          features.insert(std::visit(MatchFeature{id.family, rule.protocol}, match));
        }
        if (auto target = std::visit(TargetFeature{id.family}, rule.target)) features.insert(*target);
      }
    }
  }
  return {features.begin(), features.end()};
}

core::Result<bool> kernel_has(const Feature& feature) {
  const TablesSocket tables(feature.family);
  bool has = tables.open();
  if (has && feature.kind == Kind::table) {
    static_assert(sizeof(ipt_getinfo) == sizeof(ip6t_getinfo));
    ipt_getinfo info{};
    put_name(feature.name, info.name);
    has = tables.get(IPT_SO_GET_INFO, IP6T_SO_GET_INFO, info);
  } else if (has) {
    xt_get_revision asked{};
    put_name(feature.name, asked.name);
    asked.revision = feature.revision;
    has = feature.kind == Kind::match
              ? tables.get(IPT_SO_GET_REVISION_MATCH, IP6T_SO_GET_REVISION_MATCH, asked)
              : tables.get(IPT_SO_GET_REVISION_TARGET, IP6T_SO_GET_REVISION_TARGET, asked);
  }
  if (has) return true;
  switch (errno) {
    case ENOENT:           // no such table or extension
    case EPROTONOSUPPORT:  // not in this revision
    case ENOPROTOOPT:      // no legacy tables at all
    case EAFNOSUPPORT:     // no such family
      return false;
    case EPERM:
    case EACCES:
      return core::system_error(text_of(feature), std::strerror(errno),
                                "run as root or with CAP_NET_ADMIN and CAP_NET_RAW");
    default:
      return core::system_error(text_of(feature), std::strerror(errno));
  }
}

std::string mend_for(const Feature& feature) {
  return "load kernel module " + std::string(feature.module) + " or use a kernel with " +
         std::string(feature.option);
}

core::Result<void> probe(const RuleSet& rules, const AskKernel& ask) {
  std::string missing;
  std::string mends;
  for (const Feature& feature : features_of(rules)) {
    const core::Result<bool> has = ask(feature);
    if (!has) return tl::unexpected(has.error());
    if (*has) continue;
    missing += (missing.empty() ? "" : ", ") + text_of(feature);
    mends += (mends.empty() ? "" : ", ") + mend_for(feature);
  }
  if (missing.empty()) return {};
  return core::system_error("kernel", "lacks " + missing, mends);
}

core::Result<bool> can_spread_by_port(Family family, const AskKernel& ask) {
  return ask(bpf_feature(family));
}

}  // namespace nfsteer::rules
