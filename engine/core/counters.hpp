// Counters with one writer, the worker that owns them, and any number of readers. Readers see each counter
// whole; sets of counters are read one after the other and may be a packet apart.
#pragma once

#include <array>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace nfsteer::core {

class Counter {
 public:
  void add(std::uint64_t amount = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }
  // Only while no worker writes it.
  void reset() noexcept { value_.store(0, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// What a worker counts. Every packet ends as exactly one of rewritten, accepted (sent on unchanged) and
// dropped.
enum class Event : std::uint8_t {
  packets,  // received from the queues
  batches,  // verdict batches sent
  rewritten,
  accepted,
  dropped,
  malformed,          // not a whole, well-formed packet: accepted
  unsupported,        // well-formed, but not to be rewritten safely (source routes): accepted
  unmatched,          // to no service of the current configuration: accepted
  cache_hits,         // backend found in a flow cache
  affinity_hits,      // new flows given to the backend that their client's last one went to
  cache_misses,       // later packets of a flow the cache has forgotten: accepted, the kernel translates them
  no_backend,         // the policy named no backend
  receive_overflows,  // the socket's receive buffer ran over
  receive_errors,     // netlink messages that could not be read
  verdict_errors,     // verdicts the kernel refused
};
inline constexpr std::size_t kEvents = 15;
inline constexpr std::array<std::string_view, kEvents> kEventNames{
    "packets",      "batches",     "rewritten",         "accepted",       "dropped",
    "malformed",    "unsupported", "unmatched",         "cache_hits",     "affinity_hits",
    "cache_misses", "no_backend",  "receive_overflows", "receive_errors", "verdict_errors"};

// Batches by how many packets they held: bucket i counts those of up to 2^i, the last one all larger ones.
inline constexpr std::size_t kBatchSizeBuckets = 9;
// Decisions by how long they took, each as its batch's mean: bucket i counts those of up to 128 ns * 2^i, the
// last one all slower ones.
inline constexpr std::size_t kDecisionBuckets = 12;
inline constexpr std::uint64_t kDecisionBucket_ns = 128;  // upper end of the first

// The first of `buckets` buckets whose upper end, first * 2^i, is not below `value`; else the last one.
constexpr std::size_t bucket_of(std::uint64_t value, std::uint64_t first, std::size_t buckets) noexcept {
  std::size_t bucket = 0;
  while (bucket + 1 < buckets && value > first << bucket)
    ++bucket;
  return bucket;
}

struct BackendCounters {
  Counter picks;    // new flows given to this backend, by the policy or by their client's affinity
  Counter packets;  // packets of its flows that the engine saw, the first ones included
  Counter bytes;    // of those packets, from the IP header on
  // Of the service's shadow policy, over the decisions that the policy made:
  Counter shadow_picks;   // would have been given to this backend
  Counter shadow_gained;  // of these, were given to another one
  Counter shadow_lost;    // were given to this one, and would have gone to another, or to none

  void reset() noexcept {
    for (Counter* each : {&picks, &packets, &bytes, &shadow_picks, &shadow_gained, &shadow_lost})
      each->reset();
  }
};

struct ServiceCounters {
  Counter no_backend;
  Counter shadow_decisions;   // that the shadow policy was asked about
  Counter shadow_differ;      // of these, it chose otherwise
  Counter shadow_no_backend;  // of these, it named no backend

  void reset() noexcept {
    for (Counter* each : {&no_backend, &shadow_decisions, &shadow_differ, &shadow_no_backend})
      each->reset();
  }
};

// Counters by slot number, in chunks that never move, so that the control thread can add slots while a worker
// counts.
template <typename T>
class SlotBank {
 public:
  static constexpr std::size_t kChunk = 1024;
  static constexpr std::size_t kSlotsMax = kChunk * 1024;

  // Makes the slots 0..count-1 usable. Control thread only, before a snapshot names the new slots.
  void grow(std::size_t count) {
    assert(count <= kSlotsMax);
    while (slots_ < count) {
      chunks_[slots_ / kChunk] = std::make_unique<T[]>(kChunk);
      slots_ += kChunk;
    }
  }
  T& operator[](std::size_t slot) noexcept { return chunks_[slot / kChunk][slot % kChunk]; }
  const T& operator[](std::size_t slot) const noexcept { return chunks_[slot / kChunk][slot % kChunk]; }

 private:
  std::array<std::unique_ptr<T[]>, kSlotsMax / kChunk> chunks_;
  std::size_t slots_ = 0;
};

// Interfaces that packets came in by, by kernel index. A fixed table: the few interfaces of a host, and a
// last row for the rest.
class InterfaceCounters {
 public:
  static constexpr std::size_t kRows = 16;

  void count(std::uint32_t interface_index) noexcept {
    for (Row& row : rows_) {
      const std::uint32_t key = row.key.load(std::memory_order_relaxed);
      if (key == 0) row.key.store(interface_index + 1, std::memory_order_relaxed);
      if (key == 0 || key == interface_index + 1) return row.packets.add();
    }
    others_.add();
  }
  // visit(interface index, packets); index 0: packets of this host's own sockets.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Row& row : rows_)
      if (const std::uint32_t key = row.key.load(std::memory_order_relaxed); key != 0)
        visit(key - 1, row.packets.value());
  }
  std::uint64_t others() const { return others_.value(); }

 private:
  struct Row {
    std::atomic<std::uint32_t> key{0};  // index + 1; 0: free
    Counter packets;
  };
  std::array<Row, kRows> rows_;
  Counter others_;
};

// All that one worker counts.
struct WorkerCounters {
  std::array<Counter, kEvents> events;
  SlotBank<BackendCounters> backends;
  SlotBank<ServiceCounters> services;
  InterfaceCounters interfaces;
  std::array<Counter, kBatchSizeBuckets> batch_sizes;
  std::array<Counter, kDecisionBuckets> decisions;
  Counter decision_ns;  // all decisions together

  // A batch of `packets` decisions, above 0, took `ns` altogether.
  void count_batch(std::uint64_t packets, std::uint64_t ns) noexcept {
    batch_sizes[bucket_of(packets, 1, kBatchSizeBuckets)].add();
    decisions[bucket_of(ns / packets, kDecisionBucket_ns, kDecisionBuckets)].add(packets);
    decision_ns.add(ns);
  }

  Counter& operator[](Event event) noexcept { return events[static_cast<std::size_t>(event)]; }
  const Counter& operator[](Event event) const noexcept { return events[static_cast<std::size_t>(event)]; }
};

}  // namespace nfsteer::core
