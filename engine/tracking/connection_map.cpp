#include "tracking/connection_map.hpp"

#include <cassert>
#include <utility>

namespace nfsteer::tracking {

ConnectionMap::ConnectionMap(std::uint64_t seed) : seed_(seed), cells_(kCellsMin) {}

std::uint32_t ConnectionMap::hash_of(const core::FlowKey& original, std::uint16_t zone) const noexcept {
  return static_cast<std::uint32_t>(original.hash(seed_ + zone));
}

std::uint32_t ConnectionMap::find(const core::FlowKey& original, std::uint16_t zone) const noexcept {
  const std::uint32_t hash = hash_of(original, zone);
  for (std::size_t cell = hash & (cells_.size() - 1); cells_[cell].index != kNone; cell = next(cell)) {
    if (cells_[cell].hash != hash) continue;
    const TrackedConnection& entry = (*this)[cells_[cell].index];
    if (entry.zone == zone && entry.original == original) return cells_[cell].index;
  }
  return kNone;
}

std::uint32_t ConnectionMap::insert(const core::FlowKey& original, std::uint16_t zone) {
  assert(find(original, zone) == kNone);
  if ((size_ + 1) * 3 > cells_.size() * 2) grow();
  std::uint32_t index = free_;
  if (index != kNone) {
    free_ = (*this)[index].following;
  } else {
    if (entries_ % kChunk == 0) chunks_.push_back(std::make_unique<TrackedConnection[]>(kChunk));
    index = entries_++;
  }
  TrackedConnection& entry = (*this)[index] = {};
  entry.original = original;
  entry.zone = zone;
  entry.used = true;
  place({hash_of(original, zone), index});
  ++size_;
  return index;
}

// Without marks for what was erased: what stands behind the gap, and would have stood in it, moves up.
void ConnectionMap::erase(std::uint32_t index) noexcept {
  TrackedConnection& entry = (*this)[index];
  std::size_t gap = hash_of(entry.original, entry.zone) & (cells_.size() - 1);
  while (cells_[gap].index != index)
    gap = next(gap);
  const std::size_t mask = cells_.size() - 1;
  for (std::size_t cell = next(gap); cells_[cell].index != kNone; cell = next(cell)) {
    const std::size_t home = cells_[cell].hash & mask;
    if (((cell - home) & mask) < ((cell - gap) & mask)) continue;
    cells_[gap] = cells_[cell];
    gap = cell;
  }
  cells_[gap] = {};
  entry.used = false;
  entry.following = free_;
  free_ = index;
  --size_;
}

void ConnectionMap::place(Cell added) noexcept {
  std::size_t cell = added.hash & (cells_.size() - 1);
  while (cells_[cell].index != kNone)
    cell = next(cell);
  cells_[cell] = added;
}

void ConnectionMap::grow() {
  const std::vector<Cell> before = std::exchange(cells_, std::vector<Cell>(cells_.size() * 2));
  for (const Cell& each : before)
    if (each.index != kNone) place(each);
}

}  // namespace nfsteer::tracking
