#include "iptc/table_sync.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "iptc/chain_edit.hpp"
#include "iptc/table_handle.hpp"

namespace nfsteer::rules {

namespace {

// The kernel answers EAGAIN where a writer without the lock came between our reading and our commit.
constexpr int kAttemptsMax = 20;

// Edits one snapshot of a table. Edits in memory hardly ever fail; the first that does is reported at the
// end.
template <typename Tables>
class TableEditor {
 public:
  TableEditor(TableHandle<Tables>& handle, TableName name) : handle_(handle), id_{Tables::kFamily, name} {
    for (const std::string& chain : handle_.chains()) {
      if (is_ours(chain)) {
        present_.chains.emplace(chain, handle_.rules(chain));
      } else if (handle_.is_built_in(chain)) {
        built_ins_.push_back(chain);
        const std::vector<OwnJump> jumps = own_jumps(chain);
        if (!jumps.empty()) present_.jumps.emplace(chain, jumps.front().to);
      }
    }
  }

  // What was there of ours when this editor was made.
  const EncodedTable& present() const { return present_; }

  TableDamage damage(const EncodedTable& wanted) const {
    TableDamage damage;
    for (const std::string& chain : built_ins_) {
      const auto found = wanted.jumps.find(chain);
      const bool is_wanted = found != wanted.jumps.end();
      const std::vector<OwnJump> jumps = own_jumps(chain);
      const auto right = is_wanted
                             ? std::find_if(jumps.begin(), jumps.end(),
                                            [&](const OwnJump& jump) { return jump.to == found->second; })
                             : jumps.end();
      if (is_wanted && right == jumps.end()) {
        damage.parts.push_back("the jump from " + chain + " is gone");
      } else if (jumps.size() != (is_wanted ? 1 : 0)) {
        damage.parts.push_back("a jump from " + chain + " is one too many");
      } else if (is_wanted && right->position != 0) {
        damage.displaced.push_back(chain);
      }
    }
    for (const auto& [chain, rules] : wanted.chains) {
      const auto found = present_.chains.find(chain);
      if (found == present_.chains.end()) {
        damage.parts.push_back("chain " + chain + " is gone");
      } else if (!same(found->second, rules)) {
        damage.parts.push_back("chain " + chain + (found->second.empty() ? " is empty" : " has other rules"));
      }
    }
    for (const auto& [chain, rules] : present_.chains) {
      if (wanted.chains.count(chain) == 0) damage.parts.push_back("chain " + chain + " is left over");
    }
    return damage;
  }

  // True if something had to change. Once only.
  core::Result<bool> bring_to(const EncodedTable& wanted) {
    for (const auto& [chain, rules] : wanted.chains) {
      if (present_.chains.count(chain) == 0) check(handle_.create_chain(chain));
    }
    for (const std::string& chain : built_ins_) {
      const auto jump = wanted.jumps.find(chain);
      edit_jump(chain, jump == wanted.jumps.end() ? std::nullopt : std::optional(jump->second));
    }
    edit_chains(wanted);
    if (core::Result<void> removed = remove_chains_but(wanted); !removed)
      return tl::unexpected(removed.error());
    if (failed_ != 0) return core::system_error(thing(), Tables::error_text(failed_));
    return changed_;
  }

 private:
  struct OwnJump {
    unsigned position;
    std::string to;
    Counters counters;
  };

  std::string thing() const { return name_of(id_); }

  // Every edit passes here.
  void check(bool ok) {
    changed_ = true;
    if (!ok && failed_ == 0) failed_ = errno;
  }

  // The rules of a built-in chain that are our jump and nothing else, by what they say, wherever they stand.
  std::vector<OwnJump> own_jumps(const std::string& built_in) const {
    std::vector<OwnJump> jumps;
    unsigned position = 0;
    handle_.for_each_rule(built_in, [&](const auto& entry, std::string_view target) {
      if (is_ours(target)) {
        EncodedRule rule = canonical(entry, target);
        if (same(rule, bare_jump(target))) jumps.push_back({position, std::string(target), rule.counters});
      }
      ++position;
    });
    return jumps;
  }

  static EncodedRule bare_jump(std::string_view to) {
    Rule rule;
    rule.target = Jump{std::string(to)};
    return encode(Tables::kFamily, rule);
  }

  void edit_jump(const std::string& built_in, const std::optional<std::string>& to) {
    const std::vector<OwnJump> jumps = own_jumps(built_in);
    const bool in_place =
        to ? jumps.size() == 1 && jumps.front().position == 0 && jumps.front().to == *to : jumps.empty();
    if (in_place) return;
    Counters counters;
    for (auto jump = jumps.rbegin(); jump != jumps.rend(); ++jump) {
      check(handle_.erase(built_in, jump->position));
      if (to && jump->to == *to) counters = jump->counters;
    }
    if (!to) return;
    EncodedRule rule = bare_jump(*to);
    rule.counters = counters;
    check(handle_.insert(built_in, std::move(rule), 0));
  }

  void edit_chains(const EncodedTable& wanted) {
    static const EncodedChain kNoRules;
    std::vector<ChainEdit> edits;
    CounterPool pool;
    for (const auto& [chain, rules] : wanted.chains) {
      const auto found = present_.chains.find(chain);
      const EncodedChain& present = found == present_.chains.end() ? kNoRules : found->second;
      if (!same(present, rules)) edits.emplace_back(chain, present, rules);
    }
    for (const ChainEdit& edit : edits) {
      for (std::size_t i = 0; i < edit.present.size(); ++i) {
        const bool stays = std::find(edit.stays.begin(), edit.stays.end(), i) != edit.stays.end();
        if (!stays) pool.put(edit.name, edit.present[i]);
      }
    }
    for (const auto& [chain, rules] : present_.chains) {
      if (wanted.chains.count(chain) != 0) continue;
      for (const EncodedRule& rule : rules)
        pool.put(chain, rule);
    }
    for (const ChainEdit& edit : edits) {
      apply(edit, pool);
    }
  }

  void apply(const ChainEdit& edit, CounterPool& pool) {
    std::size_t next = 0;  // of the present rules
    unsigned position = 0;
    const auto erase_until = [&](std::size_t until) {
      for (; next < until; ++next)
        check(handle_.erase(edit.name, position));
    };
    for (std::size_t i = 0; i < edit.wanted.size(); ++i, ++position) {
      if (edit.stays[i] != ChainEdit::kNone) {
        erase_until(edit.stays[i]);
        ++next;
        continue;
      }
      EncodedRule added = edit.wanted[i];
      added.counters = pool.take(edit.name, added);
      check(handle_.insert(edit.name, std::move(added), position));
    }
    erase_until(edit.present.size());
  }

  core::Result<void> remove_chains_but(const EncodedTable& wanted) {
    std::vector<std::string> stale;
    for (const auto& [chain, rules] : present_.chains) {
      if (wanted.chains.count(chain) == 0) stale.push_back(chain);
    }
    // They may lead to one another: empty them all before the first one goes.
    for (const std::string& chain : stale) {
      check(handle_.flush_chain(chain));
    }
    for (const std::string& chain : stale) {
      if (handle_.references(chain) > 0) return foreign_rule_error(chain);
      check(handle_.delete_chain(chain));
    }
    return {};
  }

  core::Failure foreign_rule_error(const std::string& chain) const {
    for (const std::string& other : handle_.chains()) {
      bool leads_here = false;
      handle_.for_each_rule(other,
                            [&](const auto&, std::string_view target) { leads_here |= target == chain; });
      if (leads_here) {
        return core::system_error(
            thing(), "a rule in chain " + other + " that is not ours leads into our chain " + chain,
            "delete that rule first");
      }
    }
    return core::system_error(thing(), "our chain " + chain + " is in use",
                              "delete the rules that lead into it");
  }

  TableHandle<Tables>& handle_;
  TableId id_;
  EncodedTable present_;
  std::vector<std::string> built_ins_;
  bool changed_ = false;
  int failed_ = 0;  // the first errno
};

template <typename Tables>
core::Result<SyncResult> sync_as(TableName name, const EncodedTable& wanted) {
  SyncResult result;
  for (int attempt = 0, error = 0;; ++attempt) {
    auto handle = TableHandle<Tables>::open(name);
    if (!handle) return tl::unexpected(handle.error());
    TableEditor<Tables> editor(*handle, name);
    const core::Result<bool> changed = editor.bring_to(wanted);
    if (!changed) return tl::unexpected(changed.error());
    // After a failed commit: only its last step failed, which restores counters; the rules are in place.
    if (!*changed) return result;
    if (attempt > 0 && (error != EAGAIN || attempt == kAttemptsMax)) {
      return core::system_error(
          name_of({Tables::kFamily, name}), Tables::error_text(error),
          error == EAGAIN ? "another program changes it without holding the xtables lock" : "");
    }
    if (attempt == 0) result.before = editor.present();
    result.committed = true;
    if (handle->commit()) return result;
    error = errno;
  }
}

template <typename Tables>
core::Result<EncodedTable> read_as(TableName name) {
  auto handle = TableHandle<Tables>::open(name);
  if (!handle) return tl::unexpected(handle.error());
  return TableEditor<Tables>(*handle, name).present();
}

template <typename Tables>
core::Result<TableDamage> inspect_as(TableName name, const EncodedTable& wanted) {
  auto handle = TableHandle<Tables>::open(name);
  if (!handle) return tl::unexpected(handle.error());
  return TableEditor<Tables>(*handle, name).damage(wanted);
}

}  // namespace

std::string name_of(const TableId& id) {
  return std::string(id.family == Family::ipv4 ? "iptables" : "ip6tables") + " table " +
         std::string(to_string(id.name));
}

bool is_ours(std::string_view chain) {
  return chain.substr(0, kChainPrefix.size()) == kChainPrefix &&
         (chain.size() == kChainPrefix.size() || chain[kChainPrefix.size()] == '-');
}

core::Result<SyncResult> sync_table(const TableId& id, const EncodedTable& wanted) {
  return id.family == Family::ipv4 ? sync_as<Ipv4Tables>(id.name, wanted)
                                   : sync_as<Ipv6Tables>(id.name, wanted);
}

core::Result<TableDamage> inspect_table(const TableId& id, const EncodedTable& wanted) {
  return id.family == Family::ipv4 ? inspect_as<Ipv4Tables>(id.name, wanted)
                                   : inspect_as<Ipv6Tables>(id.name, wanted);
}

core::Result<EncodedTable> read_table(const TableId& id) {
  return id.family == Family::ipv4 ? read_as<Ipv4Tables>(id.name) : read_as<Ipv6Tables>(id.name);
}

core::Result<bool> is_in_use(const TableId& id) {
  const char* path = id.family == Family::ipv4 ? "/proc/thread-self/net/ip_tables_names"
                                               : "/proc/thread-self/net/ip6_tables_names";
  std::ifstream names(path);
  // The file is root's; who may not read it may still have the privilege to ask the kernel.
  if (!names && access(path, F_OK) == 0) return kernel_has(table_feature(id));
  for (std::string name; names >> name;) {
    if (name == to_string(id.name)) return true;
  }
  return false;
}

}  // namespace nfsteer::rules
