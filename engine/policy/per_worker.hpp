// What a policy remembers from pick to pick: one value per worker, each in a cache line of its own, so that
// workers need neither locks nor atomics.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <memory>

#include "core/picker.hpp"

namespace nfsteer::policy {

template <typename T>
class PerWorker {
 public:
  explicit PerWorker(std::uint32_t workers)
      : count_(std::max(1U, workers)), values_(std::make_unique<Padded[]>(count_)) {}

  // Of the worker that asks; for it alone to change.
  T& of(const core::PickContext& context) const noexcept {
    assert(context.worker < count_);
    return values_[context.worker].value;
  }

 private:
  struct alignas(64) Padded {
    T value{};
  };
  std::uint32_t count_;
  std::unique_ptr<Padded[]> values_;
};

}  // namespace nfsteer::policy
