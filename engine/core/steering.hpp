// The steering decision: one packet in, one verdict out. Pure but for the counters it is given; a worker owns
// one.
//
//   packet.parse -> snapshot.find -> (cache | affinity | picker.pick) -> rewrite -> verdict, counted
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/counters.hpp"
#include "core/flow_cache.hpp"
#include "core/packet.hpp"
#include "core/queue_layout.hpp"
#include "core/random.hpp"
#include "core/snapshot.hpp"

namespace nfsteer::core {

// A packet as the kernel queued it.
struct QueuedBytes {
  std::span<std::uint8_t> bytes;  // from the IP header on; rewritten in place
  std::uint32_t full_length = 0;  // bytes; more than bytes.size() when only the head was copied
  bool checksum_partial = false;  // the transport checksum holds the pseudo header's sum only
};

enum class Verdict : std::uint8_t {
  accept,            // as it is
  accept_rewritten,  // with the changed bytes
  drop,
};

class Steering {
 public:
  // The first packets of flows are pinned to their backend for this long, seconds. Conntrack's shortest life
  // of an unanswered flow is far longer; what has to be bridged is the time in the queue.
  static constexpr std::uint32_t kPinned_s = 4;

  // `counters` outlives this. `hash_seed` keys the flow caches. `worker`: PickContext::worker.
  Steering(Random random, std::uint64_t hash_seed, WorkerCounters& counters, std::uint32_t worker = 0);
  Steering(const Steering&) = delete;
  Steering& operator=(const Steering&) = delete;

  // The packets that follow have come in at this time, by a monotonic clock.
  void batch_begins(std::uint64_t now_ns) noexcept { context_.now_ns = now_ns; }

  // Decides on one packet from a queue of `group` and counts it. `now_s` is any clock in seconds that never
  // goes back.
  Verdict steer(const Snapshot& snapshot, QueueGroup group, QueuedBytes packet, std::uint32_t now_s) noexcept;

 private:
  Verdict steer_first(const Snapshot& snapshot, const SteeredService& steered, const ParsedPacket& parsed,
                      QueuedBytes packet, std::uint32_t now_s) noexcept;
  Verdict steer_later(const Snapshot& snapshot, const SteeredService& steered, QueueGroup group,
                      const ParsedPacket& parsed, QueuedBytes packet, std::uint32_t now_s) noexcept;
  Verdict without_backend(const SteeredService& steered) noexcept;
  Verdict rewrite(const BackendPlace& place, const ParsedPacket& parsed, QueuedBytes packet) noexcept;
  void ask_shadow(const SteeredService& steered, const FlowKey& flow, std::uint32_t chosen) noexcept;
  void count_packet(std::uint32_t backend_slot, QueuedBytes packet) noexcept;

  Random random_;
  PickContext context_;
  Random shadow_random_;  // of its own, so that a shadow changes no choice
  std::uint64_t hash_seed_;
  WorkerCounters& counters_;
  FlowCache recent_;   // flows of `connection` services: only has to bridge kPinned_s
  FlowCache tracked_;  // flows of `inspect` and `rewrite` services, for as long as they last
};

}  // namespace nfsteer::core
