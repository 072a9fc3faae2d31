#include "lab/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace nfsteer::lab {

double Histogram::middle_of(std::size_t bucket) const {
  // The first two rows, of values below 2^(kBits + 1), have shift 0.
  const std::size_t row = bucket >> kBits;
  const std::size_t shift = row <= 1 ? 0 : row - 1;
  const auto low = static_cast<double>(std::uint64_t{bucket - (shift << kBits)} << shift);
  const double width = static_cast<double>(std::uint64_t{1} << shift);
  // What all values share is told exactly.
  return std::clamp(low + (width - 1) / 2, static_cast<double>(min_), static_cast<double>(max_));
}

double Histogram::quantile(double q) const {
  if (count_ == 0) return 0;
  if (q >= 1) return static_cast<double>(max_);
  const double rank = std::ceil(q * static_cast<double>(count_));
  const std::uint64_t wanted = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(rank), 1, count_);
  std::uint64_t up_to = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    up_to += buckets_[bucket];
    if (up_to >= wanted) return middle_of(bucket);
  }
  return static_cast<double>(max_);
}

void Histogram::for_each(const std::function<void(double value, std::uint64_t up_to)>& visit) const {
  std::uint64_t up_to = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    if (buckets_[bucket] == 0) continue;
    up_to += buckets_[bucket];
    visit(middle_of(bucket), up_to);
  }
}

}  // namespace nfsteer::lab
