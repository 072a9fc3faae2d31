// How a chain becomes another one with as few changes as possible, and where counters go meanwhile. Pure.
#pragma once

#include <cstddef>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "iptc/encode.hpp"

namespace nfsteer::rules {

using EncodedChain = std::vector<EncodedRule>;

bool same(const EncodedRule& a, const EncodedRule& b);  // counters aside
bool same(const EncodedChain& a, const EncodedChain& b);

// For a chain that has to change. The chains referred to must outlive it.
struct ChainEdit {
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  const std::string& name;
  const EncodedChain& present;
  const EncodedChain& wanted;
  std::vector<std::size_t>
      stays;  // for each wanted rule: the present one that stays where it is and becomes it, or kNone

  ChainEdit(const std::string& chain, const EncodedChain& now, const EncodedChain& then);
};

// Counters of rules that leave their place, for rules that say the same somewhere else. A rule that names its
// service may turn up in any chain, because the tree above it changes its shape; others only in their own.
class CounterPool {
 public:
  void put(const std::string& chain, const EncodedRule& rule);
  // Zero where nothing fits. What is taken is gone.
  Counters take(const std::string& chain, const EncodedRule& rule);

 private:
  std::multimap<std::string, Counters> counters_;
};

}  // namespace nfsteer::rules
