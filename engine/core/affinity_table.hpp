// Which client went to which backend last, for services with affinity (core::Affinity): one table of fixed
// size that all workers read and write. A client it has forgotten, for want of room, is placed anew, nothing
// worse.
//
// No allocation, no system call, no waiting for a thread that has lost its CPU. Each set of entries has a
// word of state. Who writes claims the set by compare-and-swap, which succeeds only if nothing was written
// there since it looked, and says in that word what it is about: which entry, which client, which backend. So
// of two workers that place one client at the same moment the second learns of the first one's choice, even
// if that is not written yet; readers of other entries are not held up; and who wants to place another client
// there at that very moment tries some times, and else lets it go unremembered.
//
// An entry keeps a client's 64-bit seeded hash, not its address: as in core/flow_cache.hpp two clients that
// share one share a backend, which harms neither.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/address.hpp"
#include "core/service.hpp"

namespace nfsteer::core {

class AffinityTable {
 public:
  static constexpr std::size_t kDefaultEntries = 65536;  // 2 MiB

  // Where a client went last, and when: seconds of any clock that never goes back, above 0.
  struct Placement {
    std::uint32_t slot = 0;  // of the backend
    std::uint32_t seen_s = 0;
    friend bool operator==(const Placement&, const Placement&) = default;
  };

  // Room for `entries` clients and some more, so that few of them meet a full set. `seed` keys the hashes:
  // keep it secret where clients must not be able to aim for one another's places.
  explicit AffinityTable(std::uint64_t seed, std::size_t entries = kDefaultEntries);

  // Names one client of one service: the address up to the prefix of its family. Never 0. `address`: network
  // byte order, IPv4 in the first four bytes.
  std::uint64_t hash_of(std::uint32_t service_slot, const Affinity& affinity, Family family,
                        const std::array<std::uint8_t, 16>& address) const noexcept;

  std::optional<Placement> find(std::uint64_t hash) const noexcept;

  // The client has come again to where find() said; no effect where it has been placed anew meanwhile.
  void refresh(std::uint64_t hash, const Placement& found, std::uint32_t now_s) noexcept;

  // Places a client that find() has just answered `found` for. Returns where it is then: what is asked for,
  // or where another thread has placed it since. Evicts the client that was seen the longest time ago.
  Placement place(std::uint64_t hash, const std::optional<Placement>& found,
                  const Placement& wanted) noexcept;

  // What others know of a client: taken where it is younger than what is known here, or than what would be
  // evicted for it.
  void learn(std::uint64_t hash, const Placement& known) noexcept;

  // Forgets all clients of backends for which `forgotten(slot)` holds. While no worker places any there.
  template <typename Forgotten>
  void forget_if(Forgotten forgotten) noexcept {
    for (Set& set : sets_)
      for (Entry& entry : set.ways) {
        const Placement placement = unpack(entry.placement.load(std::memory_order_relaxed));
        if (placement != Placement{} && forgotten(placement.slot)) forget(set, entry, placement.slot);
      }
  }

  std::size_t capacity() const { return sets_.size() * kWays; }

 private:
  static constexpr std::size_t kWays = 7;
  static constexpr std::uint64_t kFree = 0;  // as a hash
  static constexpr int kTriesMax = 200;      // some microseconds altogether

  struct Entry {
    std::atomic<std::uint64_t> hash{kFree};
    std::atomic<std::uint64_t> placement{0};  // slot above, seconds below
  };
  struct alignas(128) Set {
    std::atomic<std::uint64_t> state{0};
    std::array<Entry, kWays> ways;
  };

  // A set's state, as a word: how often it was written, and what is being written now.
  struct State {
    bool claimed = false;
    std::uint8_t way = 0;
    std::uint32_t slot = 0;      // of the backend, below 2^20: core/counters.hpp has no more slots
    std::uint16_t client = 0;    // some bits of the hash
    std::uint32_t versions = 0;  // 24 bits
    friend bool operator==(const State&, const State&) = default;
  };
  static constexpr std::uint64_t pack(const State& state) {
    return std::uint64_t{state.claimed} << 63 | std::uint64_t{state.way & 7U} << 60 |
           std::uint64_t{state.slot & 0xfffffU} << 40 | std::uint64_t{state.client} << 24 |
           (state.versions & 0xffffffU);
  }
  static constexpr State unpack_state(std::uint64_t word) {
    return {word >> 63 != 0, static_cast<std::uint8_t>(word >> 60 & 7),
            static_cast<std::uint32_t>(word >> 40 & 0xfffff), static_cast<std::uint16_t>(word >> 24),
            static_cast<std::uint32_t>(word & 0xffffff)};
  }
  static constexpr std::uint16_t client_bits(std::uint64_t hash) { return static_cast<std::uint16_t>(hash); }

  static constexpr std::uint64_t pack(const Placement& placement) {
    return std::uint64_t{placement.slot} << 32 | placement.seen_s;
  }
  static constexpr Placement unpack(std::uint64_t packed) {
    return {static_cast<std::uint32_t>(packed >> 32), static_cast<std::uint32_t>(packed)};
  }

  // A set at one moment, but for the entry that is being written.
  struct View {
    State state;
    bool found = false;
    std::uint8_t way = 0;  // of the hash looked for; where it was not found, of the one to be evicted
    Placement placement;   // there; all zero where it is free
  };

  const Set& set_of(std::uint64_t hash) const noexcept { return sets_[hash >> 32 & (sets_.size() - 1)]; }
  Set& set_of(std::uint64_t hash) noexcept { return sets_[hash >> 32 & (sets_.size() - 1)]; }
  // Nothing: it has changed meanwhile.
  static std::optional<View> view(const Set& set, std::uint64_t hash) noexcept;
  // Writes into a set as it was seen, unclaimed; false where it has changed since.
  static bool write(Set& set, const View& seen, std::uint64_t hash, const Placement& wanted) noexcept;
  static void forget(Set& set, Entry& entry, std::uint32_t slot) noexcept;

  std::uint64_t seed_;
  std::vector<Set> sets_;
};

}  // namespace nfsteer::core
