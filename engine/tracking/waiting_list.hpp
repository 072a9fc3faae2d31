// The TCP connections whose SYN has no answer yet, oldest first: a list through the entries of the map, so
// that an answer takes its connection out at once.
#pragma once

#include <cstdint>

#include "tracking/connection_map.hpp"

namespace nfsteer::tracking {

class WaitingList {
 public:
  explicit WaitingList(ConnectionMap& map) : map_(map) {}

  std::uint32_t oldest() const { return oldest_; }  // or kNone

  // `now` is not before that of any other.
  void add(std::uint32_t index, Time now) {
    TrackedConnection& entry = map_[index];
    entry.waits = true;
    entry.since = now;
    entry.previous = newest_;
    entry.following = kNone;
    (newest_ == kNone ? oldest_ : map_[newest_].following) = index;
    newest_ = index;
  }

  void remove(std::uint32_t index) {
    TrackedConnection& entry = map_[index];
    entry.waits = false;
    (entry.previous == kNone ? oldest_ : map_[entry.previous].following) = entry.following;
    (entry.following == kNone ? newest_ : map_[entry.following].previous) = entry.previous;
  }

 private:
  ConnectionMap& map_;
  std::uint32_t oldest_ = kNone, newest_ = kNone;
};

}  // namespace nfsteer::tracking
