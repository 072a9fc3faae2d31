#include "policy/maglev.hpp"

#include <algorithm>
#include <queue>

#include "policy/usable.hpp"

namespace nfsteer::policy {
namespace {

constexpr std::uint16_t kFree = 0xffff;

// Where a backend tries next: its permutation is offset, offset + skip, ... modulo the table's size.
struct Walk {
  std::uint32_t place = 0;
  std::uint32_t skip = 1;
  std::uint16_t backend = 0;
};

// Takes the next place of the walk that nobody has.
void take_turn(Walk& walk, std::span<std::uint16_t> table) {
  const auto size = static_cast<std::uint32_t>(table.size());
  const auto step = [&] {
    walk.place += walk.skip;
    if (walk.place >= size) walk.place -= size;
  };
  while (table[walk.place] != kFree)
    step();
  table[walk.place] = walk.backend;
  step();
}

// Backends of one weight always have their turns together.
struct WeightClass {
  std::uint32_t weight = 0;
  std::vector<Walk> walks;  // by identity
};

std::vector<WeightClass> weight_classes(const BuildInput& input, std::uint32_t size, std::uint64_t seed) {
  std::vector<WeightClass> classes;
  for (const Usable& each : usable_by_rank(input.backends)) {
    if (each.index >= kFree) continue;
    if (classes.empty() || classes.back().weight != each.weight) classes.push_back({each.weight, {}});
    const std::uint64_t offset = identity_hash(input.backends[each.index], seed);
    const std::uint64_t skip = mix(offset);
    classes.back().walks.push_back({static_cast<std::uint32_t>(below(offset, size)),
                                    1 + static_cast<std::uint32_t>(below(skip, size - 1)),
                                    static_cast<std::uint16_t>(each.index)});
  }
  return classes;
}

struct Turn {
  double at = 0;  // (2k + 1) / weight
  std::uint32_t weight_class = 0;
  std::uint32_t k = 0;

  friend bool operator>(const Turn& a, const Turn& b) {
    return a.at != b.at ? a.at > b.at : a.weight_class > b.weight_class;
  }
};

}  // namespace

Maglev::Maglev(const BuildInput& input, std::uint32_t table_size, HashKey key) : key_(key) {
  std::vector<WeightClass> classes = weight_classes(input, table_size, key.seed);
  if (classes.empty()) return;
  table_.assign(table_size, kFree);
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns;
  for (std::uint32_t each = 0; each < classes.size(); ++each)
    turns.push({1.0 / classes[each].weight, each, 0});
  for (std::size_t left = table_size; left > 0;) {
    const Turn turn = turns.top();
    turns.pop();
    WeightClass& weight_class = classes[turn.weight_class];
    const std::size_t taken = std::min(left, weight_class.walks.size());
    for (std::size_t each = 0; each < taken; ++each)
      take_turn(weight_class.walks[each], table_);
    left -= taken;
    turns.push({(2.0 * turn.k + 3) / weight_class.weight, turn.weight_class, turn.k + 1});
  }
}

std::optional<std::uint32_t> Maglev::pick(const core::FlowKey& flow,
                                          core::PickContext& /*context*/) const noexcept {
  if (table_.empty()) return std::nullopt;
  return table_[below(key_.of(flow), table_.size())];
}

}  // namespace nfsteer::policy
