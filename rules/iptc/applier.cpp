#include "iptc/applier.hpp"

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "iptc/encode.hpp"
#include "iptc/features.hpp"
#include "iptc/lock.hpp"
#include "iptc/table_sync.hpp"

namespace nfsteer::rules {

namespace {

std::vector<TableId> order_for(const RuleSet& rules) {
  std::vector<TableId> queueing;
  std::vector<TableId> others;
  bool queues = false;
  for (Family family : {Family::ipv4, Family::ipv6}) {
    const TableId mangle{family, TableName::mangle};
    queues |= rules.tables.count(mangle) != 0;
    queueing.push_back(mangle);
    others.push_back({family, TableName::nat});
    others.push_back({family, TableName::filter});
  }
  std::vector<TableId>& first = queues ? others : queueing;
  const std::vector<TableId>& then = queues ? queueing : others;
  first.insert(first.end(), then.begin(), then.end());
  return first;
}

// ENOENT from a commit is an extension the kernel lacks; a better answer than libiptc's is which.
core::Error explain(const core::Error& error, const RuleSet& rules) {
  const core::Result<void> missing = probe(rules);
  return missing ? error : missing.error();
}

core::Result<SyncResult> bring_to(const TableId& id, const RuleSet& rules) {
  const auto wanted = rules.tables.find(id);
  if (wanted != rules.tables.end()) return sync_table(id, encode(id.family, wanted->second));
  const core::Result<bool> in_use = is_in_use(id);
  if (!in_use) return tl::unexpected(in_use.error());
  return *in_use ? sync_table(id, {}) : SyncResult{};
}

}  // namespace

core::Result<void> Applier::apply(const RuleSet& rules) {
  const auto lock = XtablesLock::take(lock_file_);
  if (!lock) return tl::unexpected(lock.error());

  std::vector<std::pair<TableId, EncodedTable>> changed;  // with what they held before
  for (const TableId& id : order_for(rules)) {
    core::Result<SyncResult> synced = bring_to(id, rules);
    if (synced) {
      if (!synced->committed) continue;
      ++commits_;
      changed.emplace_back(id, std::move(synced->before));
      continue;
    }
    core::Error error = explain(synced.error(), rules);
    for (auto before = changed.rbegin(); before != changed.rend(); ++before) {
      if (sync_table(before->first, before->second)) {
        ++commits_;
      } else {
        error.reason.append(" (and table ")
            .append(to_string(before->first.name))
            .append(" could not be put back)");
      }
    }
    return tl::unexpected(std::move(error));
  }
  return {};
}

}  // namespace nfsteer::rules
