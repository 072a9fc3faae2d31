// Which check starts next: those that wait, by the time they are due, and how many of a kind may run at once.
// Pure: the clock is an argument. One queue for all backends, so that ten thousand need one timer.
//
// A check is in one of three places: it waits (wait), it runs (start .. ended), or the queue does not know
// it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

namespace nfsteer::health {

class CheckQueue {
 public:
  using Id = std::uint64_t;
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr TimePoint kNever = TimePoint::max();

  enum class Lane : std::uint8_t {
    network,  // a check that holds a descriptor
    process,  // a check that runs a program
    free,     // costs nothing, never has to wait for others
  };
  static constexpr std::size_t kLanes = 3;

  // How many of each lane may run at once.
  CheckQueue(std::size_t network_max, std::size_t process_max)
      : max_{network_max, process_max, std::numeric_limits<std::size_t>::max()} {}

  // `id`, which must not be running, is to start at `due`; replaces what was said of it before.
  void wait(Id id, Lane lane, TimePoint due);
  void forget(Id id);  // if it waits

  // The one that has been due for longest, of those whose lane has room; it runs from now on.
  std::optional<Id> start(TimePoint now);
  void ended(Lane lane);

  // When start() may have one next, if nothing ends before; kNever: not without an end.
  TimePoint next_start() const;
  std::size_t running(Lane lane) const { return running_[index(lane)]; }

 private:
  using Waiting = std::set<std::pair<TimePoint, Id>>;
  static std::size_t index(Lane lane) { return static_cast<std::size_t>(lane); }
  // The lane that has room and whose first check is due first; nothing if none has.
  std::optional<std::size_t> next_lane() const;

  std::array<std::size_t, kLanes> max_;
  std::array<std::size_t, kLanes> running_{};
  std::array<Waiting, kLanes> waiting_;
  std::unordered_map<Id, std::pair<Lane, TimePoint>> places_;
};

}  // namespace nfsteer::health
