#include "iptc/counters.hpp"

#include <string_view>

#include "iptc/table_sync.hpp"
#include "iptc/xtables.hpp"

namespace nfsteer::rules {

namespace {

bool is_goto(const ipt_entry& entry) {
  return (entry.ip.flags & IPT_F_GOTO) != 0;
}
bool is_goto(const ip6t_entry& entry) {
  return (entry.ipv6.flags & IP6T_F_GOTO) != 0;
}

template <typename Entry>
void count(const EncodedRule& rule, ServiceCounters& service) {
  const auto* entry = reinterpret_cast<const Entry*>(rule.bytes.data());
  const auto* target = reinterpret_cast<const xt_entry_target*>(rule.bytes.data() + entry->target_offset);
  if (std::string_view(target->u.user.name) == "NETMAP") service.bound += rule.counters.packets;
  if (is_goto(*entry)) service.ladder += rule.counters.packets;
}

}  // namespace

core::Result<std::map<std::string, ServiceCounters>> read_counters() {
  std::map<std::string, ServiceCounters> counters;
  for (Family family : {Family::ipv4, Family::ipv6}) {
    const TableId id{family, TableName::nat};
    const core::Result<bool> in_use = is_in_use(id);
    if (!in_use) return tl::unexpected(in_use.error());
    if (!*in_use) continue;
    const core::Result<EncodedTable> table = read_table(id);
    if (!table) return tl::unexpected(table.error());
    for (const auto& [chain, rules] : table->chains) {
      for (const EncodedRule& rule : rules) {
        if (rule.comment.empty()) continue;
        ServiceCounters& service = counters[rule.comment];
        family == Family::ipv4 ? count<ipt_entry>(rule, service) : count<ip6t_entry>(rule, service);
      }
    }
  }
  return counters;
}

}  // namespace nfsteer::rules
