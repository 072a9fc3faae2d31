// Names for chains: short enough for the kernel, readable, stable from one plan to the next, unique within a
// table.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace nfsteer::rules {

// The same number for the same text in every version (FNV-1a).
std::uint32_t stable_hash(std::string_view text);

class ChainNames {
 public:
  // "NFSTEER-<start of readable>-<hash of identity>", at most kChainNameMax characters. The same identity
  // gets the same name in every plan, unless two of one table hash alike; then the later asked gets another.
  std::string make(std::string_view readable, std::string_view identity);

 private:
  std::set<std::string, std::less<>> taken_;
};

}  // namespace nfsteer::rules
