// Draws from weighted entries in constant time: the alias method (A. J. Walker 1977; construction by
// M. D. Vose 1991). One table read, however many entries there are.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "policy/usable.hpp"

namespace nfsteer::policy {

class AliasTable {
 public:
  // Shares are weight / sum of weights to within 2^-32 of a column each. The same entries in the same order
  // give the same table.
  explicit AliasTable(std::span<const Usable> entries);

  // The backend index that 64 uniform bits stand for; nothing only if there are no entries.
  std::optional<std::uint32_t> pick(std::uint64_t bits) const noexcept {
    if (columns_.empty()) return std::nullopt;
    const Column& column = columns_[((bits >> 32) * columns_.size()) >> 32];
    return static_cast<std::uint32_t>(bits) < column.keep ? column.self : column.alias;
  }

  // One column of the table: itself with probability `keep` / 2^32, else `alias`.
  struct Column {
    std::uint32_t keep = 0;
    std::uint32_t self = 0;   // backend index
    std::uint32_t alias = 0;  // backend index
  };
  std::span<const Column> columns() const { return columns_; }

 private:
  std::vector<Column> columns_;  // one per entry
};

}  // namespace nfsteer::policy
