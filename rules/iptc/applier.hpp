// Puts rule sets into the kernel through the legacy tables (iptables-legacy's): the only part of nfsteer that
// changes them. Everything that is not ours stays as it is, counters included.
//
// Works on the network namespace of the calling thread. One thread at a time: libiptc keeps state of its own.
#pragma once

#include <cstdint>

#include "core/result.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

class Applier {
 public:
  // `lock_file`: of XtablesLock, open for as long as this lives, where it cannot be opened later; -1: none.
  explicit Applier(int lock_file = -1) : lock_file_(lock_file) {}

  // The tables then hold exactly `rules` of ours: what an earlier engine left is changed or removed. One
  // commit for each table that differs, none for one that is as wanted. If a table cannot be changed, those
  // changed before are put back. Under the xtables lock from first reading to last commit.
  //
  // Rules that queue packets come last and go first, so that a queued packet finds its binding rule.
  core::Result<void> apply(const RuleSet& rules);

  // Takes out all that is ours, whoever left it.
  core::Result<void> remove() { return apply({}); }

  std::uint64_t commits() const { return commits_; }  // tables changed so far, put back ones included

 private:
  int lock_file_;
  std::uint64_t commits_ = 0;
};

}  // namespace nfsteer::rules
