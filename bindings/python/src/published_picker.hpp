// The picker that workers ask, replaced by the control thread while they do: they never wait, and one that
// was replaced lives until no worker can be in it (hazard pointers: M. Michael 2004, one for each worker).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/picker.hpp"

namespace nfsteer::python {

class PublishedPicker {
 public:
  // `replaceable`: false saves the workers a full memory fence for each pick; publish() may then be called
  // only before the first of them.
  PublishedPicker(std::uint32_t workers, bool replaceable) : hazards_(workers), replaceable_(replaceable) {}

  // Workers: each with a number of its own, below `workers`. Nothing published yet: no backend.
  std::optional<std::uint32_t> pick(const core::FlowKey& flow, core::PickContext& context) const noexcept {
    const core::Picker* picker = current_.load(std::memory_order_acquire);
    if (!replaceable_) return picker == nullptr ? std::nullopt : picker->pick(flow, context);
    std::atomic<const core::Picker*>& hazard = hazards_[context.worker].picker;
    // Either publish() sees the hazard, or the hazard is written late enough for the second look to see what
    // publish() wrote: both are in the one order of sequentially consistent operations.
    for (const core::Picker* seen = nullptr; seen != picker;) {
      seen = picker;
      hazard.store(seen, std::memory_order_seq_cst);
      picker = current_.load(std::memory_order_seq_cst);
    }
    const auto picked = picker == nullptr ? std::nullopt : picker->pick(flow, context);
    hazard.store(nullptr, std::memory_order_release);
    return picked;
  }

  // The control thread.
  void publish(std::shared_ptr<const core::Picker> next) {
    current_.store(next.get(), std::memory_order_seq_cst);
    if (owner_) retired_.push_back(std::move(owner_));
    owner_ = std::move(next);
    std::erase_if(retired_, [this](const auto& each) { return !is_in_use(each.get()); });
  }
  const core::Picker* current() const { return owner_.get(); }
  std::size_t retired() const { return retired_.size(); }

 private:
  struct alignas(64) Hazard {
    std::atomic<const core::Picker*> picker{nullptr};
  };

  bool is_in_use(const core::Picker* picker) const {
    // The same object may have been published again meanwhile.
    if (picker == owner_.get()) return false;
    for (const Hazard& each : hazards_)
      if (each.picker.load(std::memory_order_seq_cst) == picker) return true;
    return false;
  }

  std::atomic<const core::Picker*> current_{nullptr};
  mutable std::vector<Hazard> hazards_;
  bool replaceable_;
  std::shared_ptr<const core::Picker> owner_;
  std::vector<std::shared_ptr<const core::Picker>> retired_;
};

}  // namespace nfsteer::python
