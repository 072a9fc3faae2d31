// What is known of a backend right now, for policies that look: written while workers read, one cache line
// per backend, so that readers of one never wait for writers of another. The same object serves the engine,
// where conntrack's events write it, and the simulator.
//
// The bytes are part of the C interface for policies (bindings/c/nfsteer/policy.h).
#pragma once

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>

namespace nfsteer::core {

// The peak-sensitive moving average of latencies falls by half in about seven seconds without a sample: time
// constant as in Finagle's PeakEwma balancer.
inline constexpr double kLatencyDecay_s = 10.0;

// Conntrack's events take about as long to come, so what is shorter tells nothing of a backend: who measures
// counts it as this long.
inline constexpr double kLatencyMin_us = 250;

class alignas(64) LiveBackend {
 public:
  // Open connections that conntrack knows of. TCP connections count until both ends have closed.
  std::uint32_t active() const noexcept { return active_.load(std::memory_order_relaxed); }
  // New connections given to it that conntrack has not told of yet. Only where the service's policy asks for
  // live state (Picker::uses_live()): counting them takes an atomic addition per decision.
  std::uint32_t pending() const noexcept { return pending_.load(std::memory_order_relaxed); }
  // Both: what a policy that evens out connections goes by. Without the pending ones, all connections of a
  // burst would go to the backend that was least loaded before it.
  std::uint64_t load() const noexcept { return std::uint64_t{active()} + pending(); }

  // Moving average of the time from a TCP connection's SYN to its answer, in microseconds: a sample above it
  // replaces it, one below it enters with weight 1 - exp(-t / kLatencyDecay_s), t being the time since the
  // last one; and without samples it decays. 0: none yet. `now_ns`: the clock of PickContext::now_ns.
  double latency_us(std::uint64_t now_ns) const noexcept {
    const Latency last = unpack(latency_.load(std::memory_order_relaxed));
    return last.us == 0 ? 0 : last.us * decay(last.at_ms, now_ns);
  }

  // What the operator and the health checks say: a core::BackendState.
  std::uint8_t state() const noexcept { return state_.load(std::memory_order_relaxed); }

  // One writer: who follows the connections.
  void set_active(std::uint32_t connections) noexcept {
    active_.store(connections, std::memory_order_relaxed);
  }
  // Below a microsecond, the resolution of events, counts as one.
  void add_latency(double us, std::uint64_t now_ns) noexcept {
    if (us < 1) us = 1;
    const Latency last = unpack(latency_.load(std::memory_order_relaxed));
    const double weight = decay(last.at_ms, now_ns);
    const double average = us > last.us * weight ? us : last.us * weight + us * (1 - weight);
    latency_.store(pack({static_cast<float>(average), to_ms(now_ns)}), std::memory_order_relaxed);
  }
  // Any thread.
  void picked() noexcept { pending_.fetch_add(1, std::memory_order_relaxed); }
  // One that was pending has become active.
  void confirmed() noexcept { limit_pending(1, true); }
  // No more than `most` can be pending: others have been lost on their way.
  void limit_pending(std::uint32_t most) noexcept { limit_pending(most, false); }
  // The control thread.
  void set_state(std::uint8_t state) noexcept { state_.store(state, std::memory_order_relaxed); }
  // The slot stands for another backend from now on.
  void forget() noexcept {
    pending_.store(0, std::memory_order_relaxed);
    latency_.store(0, std::memory_order_relaxed);
  }

 private:
  friend struct LiveBackendLayout;  // engine/plugin/abi.cpp holds it against the C interface

  struct Latency {
    float us = 0;
    std::uint32_t at_ms = 0;
  };
  static std::uint32_t to_ms(std::uint64_t ns) noexcept { return static_cast<std::uint32_t>(ns / 1'000'000); }
  static Latency unpack(std::uint64_t word) noexcept {
    return {std::bit_cast<float>(static_cast<std::uint32_t>(word >> 32)), static_cast<std::uint32_t>(word)};
  }
  static std::uint64_t pack(Latency latency) noexcept {
    return std::uint64_t{std::bit_cast<std::uint32_t>(latency.us)} << 32 | latency.at_ms;
  }
  // Milliseconds wrap after 49 days; by then the average has decayed to nothing.
  static double decay(std::uint32_t then_ms, std::uint64_t now_ns) noexcept {
    const auto passed_ms = static_cast<std::int32_t>(to_ms(now_ns) - then_ms);
    return passed_ms <= 0 ? 1 : std::exp(-passed_ms / (1000 * kLatencyDecay_s));
  }
  void limit_pending(std::uint32_t amount, bool subtract) noexcept {
    std::uint32_t now = pending_.load(std::memory_order_relaxed);
    while (true) {
      const std::uint32_t next = subtract ? now - (now > 0 ? amount : 0) : (now < amount ? now : amount);
      if (next == now || pending_.compare_exchange_weak(now, next, std::memory_order_relaxed)) return;
    }
  }

  std::atomic<std::uint32_t> active_{0};
  std::atomic<std::uint32_t> pending_{0};
  std::atomic<std::uint64_t> latency_{0};  // microseconds as a float above, the time in milliseconds below
  std::atomic<std::uint8_t> state_{0};
};
static_assert(sizeof(LiveBackend) == 64);

// Of a service's backends, in their order.
using LiveView = std::span<LiveBackend* const>;

}  // namespace nfsteer::core
