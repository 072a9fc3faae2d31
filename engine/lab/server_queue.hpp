// A server's waiting line: `concurrency` flows are served at a time, the others wait in the order in which
// they came. Knows nothing of time.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

namespace nfsteer::lab {

class ServerQueue {
 public:
  enum class Arrival : std::uint8_t { serve_now, waits, rejected };

  // concurrency 0: no limit.
  void set_limits(std::uint32_t concurrency, std::uint32_t queue_max) {
    concurrency_ = concurrency;
    queue_max_ = queue_max;
  }

  Arrival arrive(std::uint32_t flow) {
    if (concurrency_ == 0 || in_service_ < concurrency_) {
      ++in_service_;
      return Arrival::serve_now;
    }
    if (waiting_.size() >= queue_max_) return Arrival::rejected;
    waiting_.push_back(flow);
    return Arrival::waits;
  }

  // One has been served; the flow that is now.
  std::optional<std::uint32_t> leave() {
    if (waiting_.empty() || (concurrency_ > 0 && in_service_ > concurrency_)) {
      --in_service_;
      return std::nullopt;
    }
    const std::uint32_t next = waiting_.front();
    waiting_.pop_front();
    return next;
  }

  // All are lost; those that waited.
  std::deque<std::uint32_t> fail() {
    in_service_ = 0;
    return std::exchange(waiting_, {});
  }

 private:
  std::uint32_t concurrency_ = 1;
  std::uint32_t queue_max_ = 0;
  std::uint32_t in_service_ = 0;
  std::deque<std::uint32_t> waiting_;
};

}  // namespace nfsteer::lab
