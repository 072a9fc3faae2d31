#include <algorithm>
#include <cstddef>
#include <cstring>

#include "iptc/encode.hpp"
#include "iptc/xtables.hpp"

namespace nfsteer::rules {

namespace {

// Behind this much of a match's data older kernels show pointers of their own.
std::size_t user_size(std::string_view match, std::size_t size) {
  if (match == "statistic") return offsetof(xt_statistic_info, master);
  if (match == "bpf") return offsetof(xt_bpf_info_v1, filter);
  return size;
}

}  // namespace

template <typename Entry>
EncodedRule canonical(const Entry& entry, std::string_view target) {
  EncodedRule rule;
  rule.counters = {entry.counters.pcnt, entry.counters.bcnt};
  const auto* begin = reinterpret_cast<const std::byte*>(&entry);
  rule.bytes.assign(begin, begin + entry.next_offset);

  auto* copy = reinterpret_cast<Entry*>(rule.bytes.data());
  copy->counters = {};
  copy->nfcache = 0;
  copy->comefrom = 0;
  for (std::size_t at = aligned(sizeof(Entry)); at < copy->target_offset;) {
    auto* match = reinterpret_cast<xt_entry_match*>(rule.bytes.data() + at);
    set_name(match->u.user.name, match->u.user.name);
    const std::size_t data_size = match->u.match_size - sizeof *match;
    const std::size_t kept = std::min(user_size(match->u.user.name, data_size), data_size);
    std::memset(match->data + kept, 0, data_size - kept);
    if (std::string_view(match->u.user.name) == "comment") {
      rule.comment = reinterpret_cast<const xt_comment_info*>(match->data)->comment;
    }
    at += match->u.match_size;
  }
  auto* own_target = reinterpret_cast<xt_entry_target*>(rule.bytes.data() + copy->target_offset);
  if (target != own_target->u.user.name) {  // a jump or verdict, which the kernel keeps as a number
    std::memset(rule.bytes.data() + copy->target_offset + sizeof *own_target, 0,
                own_target->u.target_size - sizeof *own_target);
  }
  set_name(own_target->u.user.name, target);
  return rule;
}

template EncodedRule canonical(const ipt_entry& entry, std::string_view target);
template EncodedRule canonical(const ip6t_entry& entry, std::string_view target);

}  // namespace nfsteer::rules
