#include "iptc/chain_edit.hpp"

#include <algorithm>

namespace nfsteer::rules {

namespace {

std::string key_of(const std::string& chain, const EncodedRule& rule) {
  std::string key = rule.comment.empty() ? chain : std::string();
  key.push_back('\0');
  return key.append(reinterpret_cast<const char*>(rule.bytes.data()), rule.bytes.size());
}

}  // namespace

bool same(const EncodedRule& a, const EncodedRule& b) {
  return a.bytes == b.bytes;
}

bool same(const EncodedChain& a, const EncodedChain& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const EncodedRule& x, const EncodedRule& y) { return same(x, y); });
}

ChainEdit::ChainEdit(const std::string& chain, const EncodedChain& now, const EncodedChain& then)
    : name(chain), present(now), wanted(then) {
  auto next = present.begin();
  for (const EncodedRule& rule : wanted) {
    const auto found =
        std::find_if(next, present.end(), [&](const auto& other) { return same(rule, other); });
    if (found == present.end()) {
      stays.push_back(kNone);
    } else {
      stays.push_back(static_cast<std::size_t>(found - present.begin()));
      next = found + 1;
    }
  }
}

void CounterPool::put(const std::string& chain, const EncodedRule& rule) {
  counters_.emplace(key_of(chain, rule), rule.counters);
}

Counters CounterPool::take(const std::string& chain, const EncodedRule& rule) {
  const auto found = counters_.find(key_of(chain, rule));
  if (found == counters_.end()) return {};
  const Counters counters = found->second;
  counters_.erase(found);
  return counters;
}

}  // namespace nfsteer::rules
