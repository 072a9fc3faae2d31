// Puts rule sets into the kernel through the legacy tables (iptables-legacy's): the only part of nfsteer that
// changes them. Everything that is not ours stays as it is, counters included.
//
// Works on the network namespace of the calling thread. One thread at a time: libiptc keeps state of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "iptc/lock.hpp"
#include "iptc/outline.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

// What others have done to our rules.
struct Damage {
  std::size_t tables = 0;              // that differ from what they should hold of ours
  std::string text;                    // "iptables table nat: the jump from OUTPUT is gone; ip6tables ..."
  std::vector<std::string> displaced;  // "iptables table nat OUTPUT": others' rules stand before our jump
};

class Applier {
 public:
  // `lock_file`: of XtablesLock, open for as long as this lives, where it cannot be opened later; -1: none.
  explicit Applier(int lock_file = -1) : lock_file_(lock_file) {}

  // The tables then hold exactly `rules` of ours: what an earlier engine left is changed or removed. One
  // commit for each table that differs, none for one that is as wanted. If a table cannot be changed, those
  // changed before are put back. Under the xtables lock from first reading to last commit.
  //
  // Rules that queue packets come last and go first, so that a queued packet finds its binding rule.
  core::Result<void> apply(const RuleSet& rules, std::chrono::milliseconds lock_wait = kLockWaitMax);

  // Takes out all that is ours, whoever left it.
  core::Result<void> remove() { return apply({}); }

  std::uint64_t commits() const { return commits_; }  // tables changed so far, put back ones included

  // Of the tables that hold rules of ours: as they are, and as the last apply() that succeeded left them.
  core::Result<Outlines> outlines() const { return read_outlines(tables_); }
  const Outlines& outlines_left() const { return left_; }

 private:
  core::Result<void> apply_locked(const RuleSet& rules);

  int lock_file_;
  std::vector<TableId> tables_;
  Outlines left_;
  std::uint64_t commits_ = 0;
};

// Reads every table that is in use. Changes nothing, takes no lock: each table is seen as it was at one
// moment.
core::Result<Damage> inspect(const RuleSet& rules);

}  // namespace nfsteer::rules
