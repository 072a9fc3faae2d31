#include "policy/weighted_random.hpp"

namespace nfsteer::policy {

// Exact integer arithmetic: each backend brings weight * n, each column holds exactly `sum`. Only the final
// division into 2^32 parts rounds, down, which is why a full column must not depend on it: its alias is
// itself.
WeightedRandom::WeightedRandom(const BuildInput& input) {
  const std::span<const core::Backend> backends = input.backends;
  std::uint64_t sum = 0;
  for (std::uint32_t index = 0; index < backends.size(); ++index) {
    if (backends[index].weight == 0) continue;
    sum += backends[index].weight;
    columns_.push_back({0, index, index});
  }
  if (columns_.empty()) return;

  const std::uint64_t count = columns_.size();
  std::vector<std::uint64_t> left(count);
  std::vector<std::uint32_t> small;
  std::vector<std::uint32_t> large;
  for (std::uint32_t column = 0; column < count; ++column) {
    left[column] = backends[columns_[column].self].weight * count;
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

std::optional<std::uint32_t> WeightedRandom::pick(const core::FlowKey& /*flow*/,
                                                  core::PickContext& context) const noexcept {
  if (columns_.empty()) return std::nullopt;
  const std::uint64_t bits = context.random.next();
  const Column& column = columns_[((bits >> 32) * columns_.size()) >> 32];
  return static_cast<std::uint32_t>(bits) < column.keep ? column.self : column.alias;
}

}  // namespace nfsteer::policy
