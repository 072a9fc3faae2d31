#include "policy/cumulative_table.hpp"

#include <algorithm>

namespace nfsteer::policy {

CumulativeTable::CumulativeTable(std::span<const Usable> entries, std::uint32_t divisor) {
  std::uint64_t end = 0;
  for (const Usable& each : entries)
    ends_.push_back(end += each.weight / divisor);
  if (entries.empty()) return;
  while ((sum() >> shift_) >= 2 * entries.size())
    ++shift_;
  std::uint32_t entry = 0;
  for (std::uint64_t begin = 0; begin < sum(); begin += std::uint64_t{1} << shift_) {
    while (ends_[entry] <= begin)
      ++entry;
    guide_.push_back(entry);
  }
  guide_.push_back(static_cast<std::uint32_t>(entries.size() - 1));
}

std::uint32_t CumulativeTable::find(std::uint64_t position) const noexcept {
  const std::uint64_t piece = position >> shift_;
  const auto first = ends_.begin() + guide_[piece];
  const auto last = ends_.begin() + guide_[piece + 1];
  return static_cast<std::uint32_t>(std::upper_bound(first, last, position) - ends_.begin());
}

}  // namespace nfsteer::policy
