// Remembers for a short while which backend a flow was given. It pins the packets of one flow that were
// queued before conntrack confirmed the first of them (a UDP burst), and tells `inspect` and `rewrite` which
// backend a later packet belongs to. It is a cache: conntrack is the flow table, and forgetting an entry
// never breaks a connection.
//
// Four ways, one 64-byte line per set. An entry keeps the flow's 64-bit seeded hash, not its key: two flows
// that share a hash (about one chance in 2^62 per lookup, unpredictable without the seed) share a backend
// while both last, which harms neither, since conntrack corrects a packet rewritten against its binding.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace nfsteer::core {

class FlowCache {
 public:
  // Room for at least `entries` flows, 16 bytes each; the memory is allocated here and touched as it is used.
  explicit FlowCache(std::size_t entries) : sets_(std::bit_ceil(entries < kWays ? 1 : entries / kWays)) {}

  // The value stored for this hash at most `age_max_s` seconds ago.
  std::optional<std::uint32_t> find(std::uint64_t hash, std::uint32_t now_s,
                                    std::uint32_t age_max_s) const noexcept {
    for (const Entry& entry : set_of(hash).ways)
      if (entry.stored_s != kEmpty && entry.hash == hash && now_s + 1 - entry.stored_s <= age_max_s)
        return entry.value;
    return std::nullopt;
  }

  // Replaces the entry of the same hash, else an empty way, else the oldest.
  void store(std::uint64_t hash, std::uint32_t value, std::uint32_t now_s) noexcept {
    auto& ways = sets_[set_index(hash)].ways;
    Entry* victim = ways.data();
    for (Entry& entry : ways) {
      if (entry.stored_s != kEmpty && entry.hash == hash) {
        victim = &entry;
        break;
      }
      if (entry.stored_s < victim->stored_s) victim = &entry;
    }
    *victim = {hash, value, now_s + 1};
  }

  std::size_t capacity() const { return sets_.size() * kWays; }

 private:
  static constexpr std::size_t kWays = 4;
  static constexpr std::uint32_t kEmpty = 0;  // hence stored_s is the time plus one

  struct Entry {
    std::uint64_t hash = 0;
    std::uint32_t value = 0;
    std::uint32_t stored_s = kEmpty;
  };
  struct alignas(64) Set {
    std::array<Entry, kWays> ways;
  };

  std::size_t set_index(std::uint64_t hash) const { return hash & (sets_.size() - 1); }
  const Set& set_of(std::uint64_t hash) const { return sets_[set_index(hash)]; }

  std::vector<Set> sets_;
};

}  // namespace nfsteer::core
