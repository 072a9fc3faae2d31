// Rules as the bytes the kernel takes and gives back: struct ipt_entry or ip6t_entry, matches, target
// (linux/netfilter_ipv4/ip_tables.h, linux/netfilter/x_tables.h).
//
// Both ways lead to one canonical form, so that rules are equal where their bytes are: counters and fields
// that the kernel keeps for itself are zero, and a jump or standard verdict is a target of its name, as
// libiptc takes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "plan/rule_set.hpp"

namespace nfsteer::rules {

struct Counters {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

struct EncodedRule {
  std::vector<std::byte> bytes;
  Counters counters;    // not part of the rule's identity
  std::string comment;  // of its comment match; empty: none
};

struct EncodedTable {
  std::map<std::string, std::vector<EncodedRule>, std::less<>> chains;
  std::map<std::string, std::string, std::less<>> jumps;  // built-in chain -> chain of ours
};

EncodedRule encode(Family family, const Rule& rule);
EncodedTable encode(Family family, const Table& table);

// Canonical form of an entry as libiptc shows it. `target`: libiptc's name for its target.
template <typename Entry>
EncodedRule canonical(const Entry& entry, std::string_view target);

// What the revisions are that encode() uses, for those who ask the kernel whether it knows them.
namespace revision {
inline constexpr std::uint8_t kConntrack = 3;
inline constexpr std::uint8_t kStatistic = 0;
inline constexpr std::uint8_t kBpf = 1;
inline constexpr std::uint8_t kRecent = 1;
inline constexpr std::uint8_t kComment = 0;
inline constexpr std::uint8_t kPorts = 0;
inline constexpr std::uint8_t kNfqueue = 3;
inline constexpr std::uint8_t kNetmap = 0;
inline constexpr std::uint8_t kDnat = 2;
inline constexpr std::uint8_t kMasquerade = 0;
inline constexpr std::uint8_t kReject = 0;
}  // namespace revision

}  // namespace nfsteer::rules
