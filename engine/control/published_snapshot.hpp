// Hands the current snapshot from the control thread to the workers, without locks on their side.
//
// A worker enters before it looks at a packet and leaves once the verdicts of the batch are sent. publish()
// returns when no worker is inside with an older snapshot, so the control thread knows: every verdict of the
// old configuration is with the kernel, and the old snapshot can go. (A hazard pointer: M. Michael, "Hazard
// Pointers", 2004.)
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "core/snapshot.hpp"

namespace nfsteer::control {

class PublishedSnapshot {
 public:
  // `readers`: how many workers there are.
  PublishedSnapshot(std::size_t readers, std::unique_ptr<const core::Snapshot> first)
      : readers_(readers), owned_(std::move(first)), current_(owned_.get()) {}

  // Worker `reader` only. The snapshot stays valid until leave().
  const core::Snapshot& enter(std::size_t reader) noexcept {
    std::atomic<const core::Snapshot*>& in_use = readers_[reader].in_use;
    while (true) {
      const core::Snapshot* snapshot = current_.load();
      in_use.store(snapshot);
      if (snapshot == current_.load()) return *snapshot;
    }
  }
  void leave(std::size_t reader) noexcept {
    readers_[reader].in_use.store(nullptr, std::memory_order_release);
  }

  // Control thread only; valid until the next publish().
  const core::Snapshot& current() const { return *owned_; }

  // Control thread only. Waits for workers that are inside: at most as long as a batch takes. False: one is
  // still inside after `wait_max`; the snapshot that it is in is kept for good.
  bool publish(std::unique_ptr<const core::Snapshot> next,
               std::chrono::milliseconds wait_max = std::chrono::milliseconds(2000)) {
    const auto deadline = std::chrono::steady_clock::now() + wait_max;
    current_.store(next.get());
    bool all_left = true;
    for (const Reader& reader : readers_) {
      while (reader.in_use.load() == owned_.get() && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      if (reader.in_use.load() == owned_.get()) all_left = false;
    }
    if (!all_left) kept_.push_back(std::move(owned_));
    owned_ = std::move(next);
    return all_left;
  }

 private:
  struct alignas(64) Reader {
    std::atomic<const core::Snapshot*> in_use{nullptr};
  };
  std::vector<Reader> readers_;
  std::unique_ptr<const core::Snapshot> owned_;
  std::vector<std::unique_ptr<const core::Snapshot>> kept_;  // a worker has been inside for too long
  std::atomic<const core::Snapshot*> current_;
};

}  // namespace nfsteer::control
