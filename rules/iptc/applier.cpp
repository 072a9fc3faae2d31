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

// act(id, what the table should hold), unless nobody has ever used it.
template <typename Outcome, typename Act>
core::Result<Outcome> where_in_use(const TableId& id, const RuleSet& rules, Act act) {
  const auto wanted = rules.tables.find(id);
  if (wanted != rules.tables.end()) return act(id, encode(id.family, wanted->second));
  const core::Result<bool> in_use = is_in_use(id);
  if (!in_use) return tl::unexpected(in_use.error());
  return *in_use ? act(id, {}) : Outcome{};
}

// A table that is emptied may have lost thousands of chains: some of them say enough.
std::string text_of(const TableId& id, const std::vector<std::string>& parts) {
  constexpr std::size_t kTold = 4;
  std::string text = name_of(id) + ": ";
  for (std::size_t i = 0; i < parts.size() && i < kTold; ++i)
    text.append(i == 0 ? "" : ", ").append(parts[i]);
  if (parts.size() > kTold) text.append(" and ").append(std::to_string(parts.size() - kTold)).append(" more");
  return text;
}

}  // namespace

core::Result<void> Applier::apply(const RuleSet& rules, std::chrono::milliseconds lock_wait) {
  const auto lock = XtablesLock::take(lock_file_, lock_wait);
  if (!lock) return tl::unexpected(lock.error());
  if (auto applied = apply_locked(rules); !applied) return applied;
  tables_.clear();
  for (const auto& [id, table] : rules.tables)
    tables_.push_back(id);
  left_ = outlines().value_or(Outlines{});  // unknown is like nothing else, and shows at the next look
  return {};
}

core::Result<void> Applier::apply_locked(const RuleSet& rules) {
  std::vector<std::pair<TableId, EncodedTable>> changed;  // with what they held before
  for (const TableId& id : order_for(rules)) {
    core::Result<SyncResult> synced = where_in_use<SyncResult>(id, rules, sync_table);
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

core::Result<Damage> inspect(const RuleSet& rules) {
  Damage damage;
  for (const TableId& id : order_for(rules)) {
    const core::Result<TableDamage> table = where_in_use<TableDamage>(id, rules, inspect_table);
    if (!table) return tl::unexpected(table.error());
    for (const std::string& chain : table->displaced)
      damage.displaced.push_back(name_of(id) + " " + chain);
    if (table->parts.empty()) continue;
    ++damage.tables;
    damage.text.append(damage.text.empty() ? "" : "; ").append(text_of(id, table->parts));
  }
  return damage;
}

}  // namespace nfsteer::rules
