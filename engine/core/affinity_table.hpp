// Which client went to which backend last, for services with affinity (core::Affinity): one table of fixed
// size that all workers read and write. A client it has forgotten, for want of room, is placed anew, nothing
// worse.
//
// No allocation, no system call, no waiting: readers retry where a writer is at work on the same set (a
// sequence lock per set: odd while it is written); a writer makes a set odd by compare-and-swap, which
// succeeds only if nothing was placed there since it looked. So of two workers that place one client at the
// same moment the second learns of the first one's choice. Whoever meets a set that stays odd, because the
// thread that writes it has lost its CPU, goes on without the table.
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
    std::atomic<std::uint64_t> version{0};
    std::array<Entry, kWays> ways;
  };
  // A set at one moment.
  struct View {
    std::uint64_t version = 0;  // even
    bool found = false;
    std::size_t way = 0;  // of the hash looked for; where it was not found, of the one to be evicted
    Placement placement;  // there; all zero where it is free
  };

  static constexpr std::uint64_t pack(const Placement& placement) {
    return std::uint64_t{placement.slot} << 32 | placement.seen_s;
  }
  static constexpr Placement unpack(std::uint64_t packed) {
    return {static_cast<std::uint32_t>(packed >> 32), static_cast<std::uint32_t>(packed)};
  }

  const Set& set_of(std::uint64_t hash) const noexcept { return sets_[hash >> 32 & (sets_.size() - 1)]; }
  Set& set_of(std::uint64_t hash) noexcept { return sets_[hash >> 32 & (sets_.size() - 1)]; }
  // Nothing: the set is being written.
  static std::optional<View> view(const Set& set, std::uint64_t hash) noexcept;
  // Writes into a set as it was seen; false where it has changed since.
  static bool write(Set& set, const View& seen, std::uint64_t hash, const Placement& wanted) noexcept;
  static void forget(Set& set, Entry& entry, std::uint32_t slot) noexcept;

  std::uint64_t seed_;
  std::vector<Set> sets_;
};

}  // namespace nfsteer::core
