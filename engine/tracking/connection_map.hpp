// The tracked connections by original tuple and zone. Open addressing over entries that never move: an index
// stays valid until its entry is erased. Memory is kept for the most connections there have been, about 110
// bytes each.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/flow.hpp"
#include "netlink/conntrack_message.hpp"
#include "tracking/backend_index.hpp"

namespace nfsteer::tracking {

using Time = std::chrono::steady_clock::time_point;

struct TrackedConnection {
  core::FlowKey original;
  std::uint16_t zone = 0;
  Endpoint backend;
  std::uint32_t id = 0;
  std::uint32_t slot = kNone;                         // kNone: its service has no such backend
  std::uint32_t reading = 0;                          // the last one during or since which it was told of
  std::uint32_t previous = kNone, following = kNone;  // among those that wait for an answer
  Time since;                                         // of its SYN; while it waits for an answer
  netlink::TcpState state = netlink::TcpState::none;
  bool used : 1 = false;     // the map's own: this entry is no free one
  bool gone : 1 = false;     // destroyed during a reading that may yet show it
  bool visited : 1 = false;  // told of by a reading, and by no event since
  bool heard : 1 = false;    // told of by an event, ever
  bool counted : 1 = false;  // as opened
  bool active : 1 = false;
  bool waits : 1 = false;   // for the answer to its SYN
  bool judged : 1 = false;  // its answer has come, or is not to be waited for
};

class ConnectionMap {
 public:
  // `seed` keeps clients from aiming for collisions.
  explicit ConnectionMap(std::uint64_t seed);

  // Index of the connection, or kNone.
  std::uint32_t find(const core::FlowKey& original, std::uint16_t zone) const noexcept;
  // Of a connection that is not there yet.
  std::uint32_t insert(const core::FlowKey& original, std::uint16_t zone);
  void erase(std::uint32_t index) noexcept;

  TrackedConnection& operator[](std::uint32_t index) noexcept {
    return chunks_[index / kChunk][index % kChunk];
  }
  const TrackedConnection& operator[](std::uint32_t index) const noexcept {
    return chunks_[index / kChunk][index % kChunk];
  }
  std::size_t size() const { return size_; }

  // visit(index), which may erase that one.
  template <typename Visit>
  void for_each(Visit visit) {
    for (std::uint32_t index = 0; index < entries_; ++index)
      if ((*this)[index].used) visit(index);
  }

 private:
  static constexpr std::uint32_t kChunk = 4096;
  static constexpr std::size_t kCellsMin = 4096;

  struct Cell {
    std::uint32_t hash = 0;
    std::uint32_t index = kNone;
  };

  std::uint32_t hash_of(const core::FlowKey& original, std::uint16_t zone) const noexcept;
  std::size_t next(std::size_t cell) const { return (cell + 1) & (cells_.size() - 1); }
  void place(Cell cell) noexcept;
  void grow();

  std::uint64_t seed_;
  std::vector<Cell> cells_;  // a power of two, linear probing, at most two thirds full
  std::vector<std::unique_ptr<TrackedConnection[]>> chunks_;
  std::uint32_t entries_ = 0;   // used or free
  std::uint32_t free_ = kNone;  // the first of the free ones, linked by `following`
  std::size_t size_ = 0;
};

}  // namespace nfsteer::tracking
