// Lays weighted entries end to end on a line and says which of them a position belongs to: what weighted
// sequences and draws without replacement need, where an alias table does not do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "policy/usable.hpp"

namespace nfsteer::policy {

class CumulativeTable {
 public:
  // `divisor` divides all weights.
  explicit CumulativeTable(std::span<const Usable> entries, std::uint32_t divisor = 1);

  std::uint64_t sum() const { return ends_.empty() ? 0 : ends_.back(); }
  // The entry at a position below sum(). Constant time on average over all positions, logarithmic at worst.
  std::uint32_t find(std::uint64_t position) const noexcept;
  // Where the entry begins and ends.
  std::uint64_t begin_of(std::uint32_t entry) const noexcept { return entry == 0 ? 0 : ends_[entry - 1]; }
  std::uint64_t end_of(std::uint32_t entry) const noexcept { return ends_[entry]; }

 private:
  std::vector<std::uint64_t> ends_;
  // The line in equal pieces of 2^shift_, about as many as there are entries: the entry at the beginning of
  // each, and the last entry once more.
  std::vector<std::uint32_t> guide_;
  std::uint32_t shift_ = 0;
};

}  // namespace nfsteer::policy
