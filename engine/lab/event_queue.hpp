// What is to happen, by virtual time; what is to happen at the same time, in the order in which it was
// scheduled.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "lab/scenario.hpp"

namespace nfsteer::lab {

enum class EventKind : std::uint8_t {
  confirmed,    // the engine learns of the connection
  established,  // and of its handshake
  at_server,    // the request is there
  served,       // the answer leaves
  ended,        // the client has it, or has given up
  closed,       // the engine learns of that
  noticed,      // health checks see what has become of a server
};

struct Event {
  Nanoseconds at = 0;
  std::uint64_t order = 0;
  std::uint32_t subject = 0;  // a flow; `noticed`: a server
  EventKind kind = EventKind::confirmed;
};

class EventQueue {
 public:
  void push(Nanoseconds at, EventKind kind, std::uint32_t subject) {
    heap_.push_back({at, count_++, subject, kind});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  bool empty() const { return heap_.empty(); }
  Nanoseconds next_at() const { return heap_.front().at; }
  Event pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Event event = heap_.back();
    heap_.pop_back();
    return event;
  }

 private:
  static bool later(const Event& a, const Event& b) { return a.at != b.at ? a.at > b.at : a.order > b.order; }

  std::uint64_t count_ = 0;
  std::vector<Event> heap_;
};

}  // namespace nfsteer::lab
