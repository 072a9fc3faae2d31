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
  View view;
  view.version = set.version.load(std::memory_order_acquire);
  if (view.version % 2 != 0) return std::nullopt;
  for (std::size_t way = 0; way < kWays && !view.found; ++way) {
    const std::uint64_t present = set.ways[way].hash.load(std::memory_order_acquire);
    const Placement placement = unpack(set.ways[way].placement.load(std::memory_order_acquire));
    view.found = present == hash;
    if (!view.found && way > 0 && placement.seen_s >= view.placement.seen_s) continue;
    view.way = way;
    view.placement = placement;
  }
  // The loads before acquire, so this one comes after them.
  if (set.version.load(std::memory_order_relaxed) != view.version) return std::nullopt;
  return view;
}

bool AffinityTable::write(Set& set, const View& seen, std::uint64_t hash, const Placement& wanted) noexcept {
  std::uint64_t version = seen.version;
  if (!set.version.compare_exchange_strong(version, version + 1, std::memory_order_acq_rel)) return false;
  Entry& entry = set.ways[seen.way];
  // Release: nobody may see the new values under the old version.
  entry.hash.store(hash, std::memory_order_release);
  entry.placement.store(pack(wanted), std::memory_order_release);
  set.version.store(seen.version + 2, std::memory_order_release);
  return true;
}

std::optional<AffinityTable::Placement> AffinityTable::find(std::uint64_t hash) const noexcept {
  const Set& set = set_of(hash);
  for (int tries = 0; tries < kTriesMax; ++tries, pause_cpu())
    if (const auto seen = view(set, hash)) return seen->found ? std::optional(seen->placement) : std::nullopt;
  return std::nullopt;
}

void AffinityTable::refresh(std::uint64_t hash, const Placement& found, std::uint32_t now_s) noexcept {
  if (found.seen_s >= now_s) return;  // of many connections in one second the first one writes
  for (Entry& entry : set_of(hash).ways) {
    if (entry.hash.load(std::memory_order_relaxed) != hash) continue;
    std::uint64_t present = pack(found);
    entry.placement.compare_exchange_strong(present, pack({found.slot, now_s}), std::memory_order_acq_rel);
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
    if (write(set, *seen, hash, wanted)) return wanted;
  }
  return wanted;
}

void AffinityTable::learn(std::uint64_t hash, const Placement& known) noexcept {
  Set& set = set_of(hash);
  for (int tries = 0; tries < kTriesMax; ++tries, pause_cpu()) {
    const auto seen = view(set, hash);
    if (!seen) continue;
    if (seen->placement.seen_s >= known.seen_s || write(set, *seen, hash, known)) return;
  }
}

void AffinityTable::forget(Set& set, Entry& entry, std::uint32_t slot) noexcept {
  for (int tries = 0; tries < kTriesMax; ++tries, pause_cpu()) {
    std::uint64_t version = set.version.load(std::memory_order_acquire);
    if (version % 2 != 0) continue;
    if (!set.version.compare_exchange_strong(version, version + 1, std::memory_order_acq_rel)) continue;
    // It may be another client's by now; none of the backend's is placed any more.
    if (unpack(entry.placement.load(std::memory_order_acquire)).slot == slot) {
      entry.hash.store(kFree, std::memory_order_release);
      entry.placement.store(0, std::memory_order_release);
    }
    set.version.store(version + 2, std::memory_order_release);
    return;
  }
}

}  // namespace nfsteer::core
