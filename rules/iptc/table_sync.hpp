// Brings one table of the kernel to what is wanted, in one commit, touching nothing that is not ours. The
// caller holds the xtables lock.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "iptc/encode.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

// "iptables table nat"
std::string name_of(const TableId& id);

// A chain of ours: NFSTEER or NFSTEER-*.
bool is_ours(std::string_view chain);

struct SyncResult {
  bool committed = false;
  EncodedTable before;  // what the table held of ours; where jumps stood is not kept
};

// Our chains become those of `wanted`, with each built-in chain's jump as its first rule; other chains of
// ours go. Rules that stay keep their counters, those of changed chains included. A table that is as wanted
// is not committed. Fails where someone else's rule leads into a chain that has to go.
core::Result<SyncResult> sync_table(const TableId& id, const EncodedTable& wanted);

// How a table differs from what it should hold of ours.
struct TableDamage {
  std::vector<std::string> parts;      // "the jump from OUTPUT is gone"; empty: in nothing
  std::vector<std::string> displaced;  // built-in chains in which other people's rules stand before our jump
};

// What sync_table() would put right, but for where jumps stand: rules before ours are other people's right.
core::Result<TableDamage> inspect_table(const TableId& id, const EncodedTable& wanted);

// What the table holds of ours, with counters. Needs no lock.
core::Result<EncodedTable> read_table(const TableId& id);

// False where the table surely holds nothing of ours, because nobody has used it in this network namespace.
// Opening it would bring it to life.
core::Result<bool> is_in_use(const TableId& id);

}  // namespace nfsteer::rules
