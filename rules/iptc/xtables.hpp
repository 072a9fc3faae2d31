// The C headers of both legacy table families, and the few traits in which they differ. For this layer's
// sources only.
#pragma once

// clang-format off: net/if.h, which libiptc.h includes, has to come before linux/if.h.
extern "C" {  // libip6tc.h declares no C linkage of its own
#include <libiptc/libip6tc.h>
#include <libiptc/libiptc.h>
}

#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/xt_NFQUEUE.h>
#include <linux/netfilter/xt_bpf.h>
#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_recent.h>
#include <linux/netfilter/xt_statistic.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/netfilter_ipv4/ipt_REJECT.h>
#include <linux/netfilter_ipv6/ip6t_REJECT.h>
// xt_sctp.h is C: it knows _Bool, and leaves a macro of a very common name behind.
#define _Bool bool
#include <linux/netfilter/xt_sctp.h>
#undef _Bool
#undef bytes
// clang-format on

#include <cstring>
#include <string>
#include <string_view>

#include "plan/rule_set.hpp"

namespace nfsteer::rules {

// XT_ALIGN without its conversions.
constexpr std::size_t aligned(std::size_t size) {
  constexpr std::size_t kAlignment = alignof(_xt_align);
  return (size + kAlignment - 1) & ~(kAlignment - 1);
}

// The kernel gives a name back up to its NUL and leaves the rest of the field as it was.
template <std::size_t size>
void set_name(char (&field)[size], std::string_view name) {
  const std::string copy(name.substr(0, size - 1));
  std::memset(field, 0, size);
  std::memcpy(field, copy.data(), copy.size());
}

struct Ipv4Tables {
  static constexpr Family kFamily = Family::ipv4;
  using Entry = ipt_entry;
  static constexpr auto init = iptc_init;
  static constexpr auto free = iptc_free;
  static constexpr auto first_chain = iptc_first_chain;
  static constexpr auto next_chain = iptc_next_chain;
  static constexpr auto is_built_in = iptc_builtin;
  static constexpr auto first_rule = iptc_first_rule;
  static constexpr auto next_rule = iptc_next_rule;
  static constexpr auto target_of = iptc_get_target;
  static constexpr auto references = iptc_get_references;
  static constexpr auto insert_rule = iptc_insert_entry;
  static constexpr auto delete_rule = iptc_delete_num_entry;
  static constexpr auto flush_chain = iptc_flush_entries;
  static constexpr auto create_chain = iptc_create_chain;
  static constexpr auto delete_chain = iptc_delete_chain;
  static constexpr auto policy_of = iptc_get_policy;
  static constexpr auto set_policy = iptc_set_policy;
  static constexpr auto commit = iptc_commit;
  static constexpr auto error_text = iptc_strerror;
};

struct Ipv6Tables {
  static constexpr Family kFamily = Family::ipv6;
  using Entry = ip6t_entry;
  static constexpr auto init = ip6tc_init;
  static constexpr auto free = ip6tc_free;
  static constexpr auto first_chain = ip6tc_first_chain;
  static constexpr auto next_chain = ip6tc_next_chain;
  static constexpr auto is_built_in = ip6tc_builtin;
  static constexpr auto first_rule = ip6tc_first_rule;
  static constexpr auto next_rule = ip6tc_next_rule;
  static constexpr auto target_of = ip6tc_get_target;
  static constexpr auto references = ip6tc_get_references;
  static constexpr auto insert_rule = ip6tc_insert_entry;
  static constexpr auto delete_rule = ip6tc_delete_num_entry;
  static constexpr auto flush_chain = ip6tc_flush_entries;
  static constexpr auto create_chain = ip6tc_create_chain;
  static constexpr auto delete_chain = ip6tc_delete_chain;
  static constexpr auto policy_of = ip6tc_get_policy;
  static constexpr auto set_policy = ip6tc_set_policy;
  static constexpr auto commit = ip6tc_commit;
  static constexpr auto error_text = ip6tc_strerror;
};

}  // namespace nfsteer::rules
