#include "policy/alias_table.hpp"

namespace nfsteer::policy {

// Exact integer arithmetic: each entry brings weight * n, each column holds exactly `sum`. Only the final
// division into 2^32 parts rounds, down, which is why a full column must not depend on it: its alias is
// itself.
AliasTable::AliasTable(std::span<const Usable> entries) {
  std::uint64_t sum = 0;
  for (const Usable& each : entries) {
    sum += each.weight;
    columns_.push_back({0, each.index, each.index});
  }
  const std::uint64_t count = columns_.size();
  std::vector<std::uint64_t> left(count);
  std::vector<std::uint32_t> small;
  std::vector<std::uint32_t> large;
  for (std::uint32_t column = 0; column < count; ++column) {
    left[column] = entries[column].weight * count;
    (left[column] < sum ? small : large).push_back(column);
  }
  while (!small.empty()) {
    const std::uint32_t poor = small.back();
    const std::uint32_t rich = large.back();  // the columns' mean is `sum`, so a poor one implies a rich one
    small.pop_back();
    columns_[poor].keep = static_cast<std::uint32_t>((left[poor] << 32) / sum);
    columns_[poor].alias = columns_[rich].self;
    left[rich] -= sum - left[poor];
    if (left[rich] < sum) {
      large.pop_back();
      small.push_back(rich);
    }
  }
}

}  // namespace nfsteer::policy
