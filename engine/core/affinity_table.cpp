#include "core/affinity_table.hpp"

#include <algorithm>
#include <bit>

#include "core/flow.hpp"

namespace nfsteer::core {
namespace {

void pause_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

AffinityTable::AffinityTable(std::uint64_t seed, std::size_t entries)
    : seed_(seed), sets_(std::bit_ceil(entries / kWays + 1)) {}

std::uint64_t AffinityTable::hash_of(std::uint32_t service_slot, const Affinity& affinity, Family family,
                                     const std::array<std::uint8_t, 16>& address) const noexcept {
  const std::size_t prefix = family == Family::ipv4 ? affinity.ipv4_prefix : affinity.ipv6_prefix;
  FlowKey key;
  key.family = family;
  key.source_port = static_cast<std::uint16_t>(service_slot >> 16);
  key.destination_port = static_cast<std::uint16_t>(service_slot);
  const std::size_t whole = std::min(prefix / 8, address.size());
  std::copy_n(address.begin(), whole, key.source.begin());
  if (prefix % 8 != 0 && whole < address.size())
    key.source[whole] = static_cast<std::uint8_t>(address[whole] & 0xff00U >> prefix % 8);
  const std::uint64_t hash = key.hash(seed_);
  return hash != kFree ? hash : 1;
}

std::optional<AffinityTable::View> AffinityTable::view(const Set& set, std::uint64_t hash) noexcept {
  const std::uint64_t before = set.state.load(std::memory_order_acquire);
  View view;
  view.state = unpack_state(before);
  bool any = false;
  for (std::uint8_t way = 0; way < kWays && !view.found; ++way) {
    if (view.state.claimed && view.state.way == way) continue;
    const std::uint64_t present = set.ways[way].hash.load(std::memory_order_acquire);
    const Placement placement = unpack(set.ways[way].placement.load(std::memory_order_acquire));
    view.found = present == hash;
    if (!view.found && any && placement.seen_s >= view.placement.seen_s) continue;
    any = true;
    view.way = way;
    view.placement = placement;
  }
  // The loads before acquire, so this one comes after them.
  if (set.state.load(std::memory_order_relaxed) != before) return std::nullopt;
  return view;
}

bool AffinityTable::write(Set& set, const View& seen, std::uint64_t hash, const Placement& wanted) noexcept {
  std::uint64_t before = pack(seen.state);
  const State claimed{true, seen.way, wanted.slot, client_bits(hash), seen.state.versions};
  if (!set.state.compare_exchange_strong(before, pack(claimed), std::memory_order_acq_rel)) return false;
  Entry& entry = set.ways[seen.way];
  // Release: who sees the new values sees the set claimed, or later.
  entry.hash.store(hash, std::memory_order_release);
  entry.placement.store(pack(wanted), std::memory_order_release);
  set.state.store(pack(State{false, 0, 0, 0, seen.state.versions + 1}), std::memory_order_release);
  return true;
}

std::optional<AffinityTable::Placement> AffinityTable::find(std::uint64_t hash) const noexcept {
  const Set& set = set_of(hash);
  for (int tries = 0; tries < kTriesMax; ++tries)
    if (const auto seen = view(set, hash)) return seen->found ? std::optional(seen->placement) : std::nullopt;
  return std::nullopt;
}

void AffinityTable::refresh(std::uint64_t hash, const Placement& found, std::uint32_t now_s) noexcept {
  if (found.seen_s >= now_s) return;  // of many connections in one second the first one writes
  for (Entry& entry : set_of(hash).ways) {
    if (entry.hash.load(std::memory_order_relaxed) != hash) continue;
    std::uint64_t present = pack(found);
    entry.placement.compare_exchange_strong(present, pack(Placement{found.slot, now_s}),
                                            std::memory_order_acq_rel);
    return;
  }
}

AffinityTable::Placement AffinityTable::place(std::uint64_t hash, const std::optional<Placement>& found,
                                              const Placement& wanted) noexcept {
  Set& set = set_of(hash);
  for (int tries = 0; tries < kTriesMax; ++tries, pause_cpu()) {
    const auto seen = view(set, hash);
    if (!seen) continue;
    if (seen->found && seen->placement != found) return seen->placement;
    if (!seen->state.claimed) {
      if (write(set, *seen, hash, wanted)) return wanted;
    } else if (seen->state.client == client_bits(hash)) {
      return {seen->state.slot, wanted.seen_s};
    }
  }
  return wanted;
}

void AffinityTable::learn(std::uint64_t hash, const Placement& known) noexcept {
  Set& set = set_of(hash);
  for (int tries = 0; tries < kTriesMax; ++tries, pause_cpu()) {
    const auto seen = view(set, hash);
    if (!seen || seen->state.claimed) continue;
    if (seen->placement.seen_s >= known.seen_s || write(set, *seen, hash, known)) return;
  }
}

void AffinityTable::forget(Set& set, Entry& entry, std::uint32_t slot) noexcept {
  // Until it is done: a writer that has lost its CPU will go on.
  for (;; pause_cpu()) {
    std::uint64_t word = set.state.load(std::memory_order_acquire);
    State state = unpack_state(word);
    if (state.claimed) continue;
    state.claimed = true;
    state.way = static_cast<std::uint8_t>(&entry - set.ways.data());
    if (!set.state.compare_exchange_strong(word, pack(state), std::memory_order_acq_rel)) continue;
    // It may be another client's by now; none of the backend's is placed any more.
    if (unpack(entry.placement.load(std::memory_order_acquire)).slot == slot) {
      entry.hash.store(kFree, std::memory_order_release);
      entry.placement.store(0, std::memory_order_release);
    }
    set.state.store(pack(State{false, 0, 0, 0, state.versions + 1}), std::memory_order_release);
    return;
  }
}

}  // namespace nfsteer::core
