// RAII over a libiptc handle: a snapshot of one table that is edited in memory and then committed as a whole.
// For this layer's sources only. Calls that can only fail by our own mistake are asserted in table_sync.cpp.
#pragma once

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "iptc/encode.hpp"
#include "iptc/features.hpp"
#include "iptc/table_sync.hpp"
#include "iptc/xtables.hpp"

namespace nfsteer::rules {

template <typename Tables>
class TableHandle {
 public:
  using Entry = typename Tables::Entry;

  static core::Result<TableHandle> open(TableName name) {
    const TableId id{Tables::kFamily, name};
    // libiptc answers EINVAL instead of the socket's own error where there is no privilege, so errno alone
    // may mislead.
    errno = 0;
    xtc_handle* handle = Tables::init(std::string(to_string(name)).c_str());
    if (handle != nullptr) return TableHandle(handle);
    const int error = errno;
    if (error == ENOENT || error == ENOPROTOOPT || error == EAFNOSUPPORT) {
      return core::system_error(name_of(id), "the kernel has no such table", mend_for(table_feature(id)));
    }
    if (error == EPERM || error == EACCES) {
      return core::system_error(name_of(id), std::strerror(error),
                                "run as root or with CAP_NET_ADMIN and CAP_NET_RAW");
    }
    return core::system_error(name_of(id), Tables::error_text(error));
  }

  std::vector<std::string> chains() const {
    std::vector<std::string> names;
    for (const char* name = Tables::first_chain(get()); name != nullptr; name = Tables::next_chain(get())) {
      names.emplace_back(name);
    }
    return names;
  }
  bool is_built_in(const std::string& chain) const { return Tables::is_built_in(chain.c_str(), get()) != 0; }

  // visit(entry, target name) for every rule of the chain, in order.
  template <typename Visit>
  void for_each_rule(const std::string& chain, Visit visit) const {
    for (const Entry* entry = Tables::first_rule(chain.c_str(), get()); entry != nullptr;
         entry = Tables::next_rule(entry, get())) {
      visit(*entry, std::string_view(Tables::target_of(entry, get())));
    }
  }

  std::vector<EncodedRule> rules(const std::string& chain) const {
    std::vector<EncodedRule> result;
    for_each_rule(chain, [&](const Entry& entry, std::string_view target) {
      result.push_back(canonical(entry, target));
    });
    return result;
  }

  unsigned references(const std::string& chain) const {
    unsigned count = 0;
    Tables::references(&count, chain.c_str(), get());
    return count;
  }

  // Positions count from 0. False with errno set.
  bool insert(const std::string& chain, EncodedRule rule, unsigned position) {
    auto* entry = reinterpret_cast<Entry*>(rule.bytes.data());
    entry->counters.pcnt = rule.counters.packets;
    entry->counters.bcnt = rule.counters.bytes;
    return Tables::insert_rule(chain.c_str(), entry, position, get()) != 0;
  }
  bool erase(const std::string& chain, unsigned position) {
    return Tables::delete_rule(chain.c_str(), position, get()) != 0;
  }
  bool flush_chain(const std::string& chain) { return Tables::flush_chain(chain.c_str(), get()) != 0; }
  bool create_chain(const std::string& chain) { return Tables::create_chain(chain.c_str(), get()) != 0; }
  bool delete_chain(const std::string& chain) { return Tables::delete_chain(chain.c_str(), get()) != 0; }
  bool commit() { return keep_policy_counters() && Tables::commit(get()) != 0; }

 private:
  struct Free {
    void operator()(xtc_handle* handle) const { Tables::free(handle); }
  };
  explicit TableHandle(xtc_handle* handle) : handle_(handle) {}

  // libiptc starts the policy counters of built-in chains anew with every commit (COUNTER_MAP_ZEROED), unless
  // they are set. What the policies count between our reading and the commit is lost; rules lose nothing.
  bool keep_policy_counters() {
    for (const std::string& chain : chains()) {
      if (!is_built_in(chain)) continue;
      xt_counters counters{};
      const char* policy = Tables::policy_of(chain.c_str(), &counters, get());
      if (policy == nullptr || Tables::set_policy(chain.c_str(), policy, &counters, get()) == 0) return false;
    }
    return true;
  }

  xtc_handle* get() const { return handle_.get(); }

  std::unique_ptr<xtc_handle, Free> handle_;
};

}  // namespace nfsteer::rules
