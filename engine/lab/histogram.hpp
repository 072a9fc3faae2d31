// Times by size, in constant memory: 256 buckets for each power of two, so that a quantile is off by 0.2 % at
// most. Count, sum, least and greatest are exact.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace nfsteer::lab {

class Histogram {
 public:
  void add(std::uint64_t value) {
    const std::size_t bucket = bucket_of(value);
    if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
    ++buckets_[bucket];
    ++count_;
    sum_ += static_cast<double>(value);
    if (value < min_) min_ = value;
    if (value > max_) max_ = value;
  }

  std::uint64_t count() const { return count_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  std::uint64_t max() const { return max_; }

  // The value that a part `q` (0 to 1) of all do not exceed; 0 of none.
  double quantile(double q) const;
  // Each bucket in use: its middle, and how many are in it or below.
  void for_each(const std::function<void(double value, std::uint64_t up_to)>& visit) const;

 private:
  static constexpr unsigned kBits = 8;
  // Values below 2^kBits have a bucket each.
  static std::size_t bucket_of(std::uint64_t value) {
    const unsigned width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > kBits + 1 ? width - kBits - 1 : 0;
    return (std::size_t{shift} << kBits) + static_cast<std::size_t>(value >> shift);
  }
  double middle_of(std::size_t bucket) const;

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  std::uint64_t max_ = 0;
};

}  // namespace nfsteer::lab
