#include "core/steering.hpp"

#include <chrono>
#include <limits>
#include <optional>

#include "core/affinity_table.hpp"
#include "core/rewrite.hpp"

namespace nfsteer::core {
namespace {

constexpr std::size_t kRecentFlows = 4096;    // 64 KiB: stays in the CPU's cache
constexpr std::size_t kTrackedFlows = 65536;  // 1 MiB, touched only by `inspect` and `rewrite` services
constexpr std::uint32_t kAnyAge_s = std::numeric_limits<std::uint32_t>::max();

bool tracks_flows(Mode mode) {
  return mode == Mode::inspect || mode == Mode::rewrite;
}

// Where in the snapshot a backend of the service stands that may take connections; else nowhere.
BackendPlace usable(const Snapshot& snapshot, const SteeredService& steered, std::uint32_t slot) {
  const BackendPlace place = snapshot.place_of(slot);
  return place.service == &steered && place.backend().weight > 0 ? place : BackendPlace{};
}

bool lasts(const Affinity& affinity, std::uint32_t seen_s, std::uint32_t now_s) {
  return std::chrono::seconds(now_s) - std::chrono::seconds(seen_s) <= affinity.timeout;
}

// One client of a service with affinity, and where it is placed.
class Client {
 public:
  Client(const SteeredService& steered, const FlowKey& flow, std::uint32_t now_s) noexcept
      : steered_(steered),
        now_s_(now_s),
        hash_(steered.affinity->hash_of(steered.slot, *steered.service.affinity, flow.family, flow.source)),
        last_(steered.affinity->find(hash_)) {}

  // Where it stays; nowhere, if it has to be placed anew.
  BackendPlace stay(const Snapshot& snapshot) const noexcept {
    if (!last_ || !lasts(*steered_.service.affinity, last_->seen_s, now_s_)) return {};
    const BackendPlace place = usable(snapshot, steered_, last_->slot);
    if (place.service != nullptr) steered_.affinity->refresh(hash_, *last_, now_s_);
    return place;
  }
  // Where it is once it has been given to the backend at `picked`, or another worker was quicker.
  BackendPlace move(const Snapshot& snapshot, const BackendPlace& picked) const noexcept {
    const auto now = steered_.affinity->place(hash_, last_, {steered_.backend_slots[picked.index], now_s_});
    const BackendPlace place = usable(snapshot, steered_, now.slot);
    return place.service != nullptr ? place : picked;
  }

 private:
  const SteeredService& steered_;
  std::uint32_t now_s_;
  std::uint64_t hash_;
  std::optional<AffinityTable::Placement> last_;
};

}  // namespace

Steering::Steering(Random random, std::uint64_t hash_seed, WorkerCounters& counters, std::uint32_t worker)
    : random_(random),
      context_{random_, 0, worker},
      shadow_random_(random.next()),
      hash_seed_(hash_seed),
      counters_(counters),
      recent_(kRecentFlows),
      tracked_(kTrackedFlows) {}

Verdict Steering::steer(const Snapshot& snapshot, QueueGroup group, QueuedBytes packet,
                        std::uint32_t now_s) noexcept {
  counters_[Event::packets].add();
  const auto verdict = [&] {
    ParsedPacket parsed;
    switch (parse_packet(packet.bytes, packet.full_length, parsed)) {
      case ParseOutcome::ok:
        break;
      case ParseOutcome::malformed:
        counters_[Event::malformed].add();
        return Verdict::accept;
      case ParseOutcome::unsupported:
        counters_[Event::unsupported].add();
        return Verdict::accept;
    }
    const SteeredService* steered = snapshot.find(parsed.flow);
    if (steered == nullptr) {
      counters_[Event::unmatched].add();
      return Verdict::accept;
    }
    return group == QueueGroup::first ? steer_first(snapshot, *steered, parsed, packet, now_s)
                                      : steer_later(snapshot, *steered, group, parsed, packet, now_s);
  }();
  counters_[verdict == Verdict::accept             ? Event::accepted
            : verdict == Verdict::accept_rewritten ? Event::rewritten
                                                   : Event::dropped]
      .add();
  return verdict;
}

Verdict Steering::steer_first(const Snapshot& snapshot, const SteeredService& steered,
                              const ParsedPacket& parsed, QueuedBytes packet, std::uint32_t now_s) noexcept {
  const Service& service = steered.service;
  // Queued just before a switch to `dnat`: the ladder behind the queue takes it.
  if (service.mode == Mode::dnat) return Verdict::accept;

  FlowCache& cache = tracks_flows(service.mode) ? tracked_ : recent_;
  const std::uint64_t hash = parsed.flow.hash(hash_seed_);
  if (const auto slot = cache.find(hash, now_s, kPinned_s)) {
    if (const BackendPlace place = usable(snapshot, steered, *slot); place.service != nullptr) {
      counters_[Event::cache_hits].add();
      count_packet(*slot, packet);
      return rewrite(place, parsed, packet);
    }
  }

  std::optional<Client> client;
  if (steered.affinity != nullptr) client.emplace(steered, parsed.flow, now_s);
  BackendPlace place = client ? client->stay(snapshot) : BackendPlace{};
  if (place.service != nullptr) {
    counters_[Event::affinity_hits].add();
  } else {
    const auto index = steered.picker->pick(parsed.flow, context_);
    if (!index) return without_backend(steered);
    // An index that names no backend must not hurt traffic: unchanged, the packet meets the ladder.
    if (*index >= service.backends.size()) return Verdict::accept;
    if (steered.shadow) ask_shadow(steered, parsed.flow, *index);
    place = {&steered, *index};
    if (client) place = client->move(snapshot, place);
  }
  const std::uint32_t slot = steered.backend_slots[place.index];
  counters_.backends[slot].picks.add();
  if (!steered.live.empty()) steered.live[place.index]->picked();
  count_packet(slot, packet);
  cache.store(hash, slot, now_s);
  return rewrite(place, parsed, packet);
}

Verdict Steering::steer_later(const Snapshot& snapshot, const SteeredService& steered, QueueGroup group,
                              const ParsedPacket& parsed, QueuedBytes packet, std::uint32_t now_s) noexcept {
  const std::uint64_t hash = parsed.flow.hash(hash_seed_);
  const auto slot = tracked_.find(hash, now_s, kAnyAge_s);
  const BackendPlace place = slot ? snapshot.place_of(*slot) : BackendPlace{};
  if (place.service != &steered) {
    counters_[Event::cache_misses].add();
    return Verdict::accept;
  }
  counters_[Event::cache_hits].add();
  count_packet(*slot, packet);
  return group == QueueGroup::rewrite ? rewrite(place, parsed, packet) : Verdict::accept;
}

Verdict Steering::without_backend(const SteeredService& steered) noexcept {
  counters_[Event::no_backend].add();
  counters_.services[steered.slot].no_backend.add();
  // `reject` is the kernel's part: rules behind the queue answer for services without a backend.
  return steered.service.on_no_backend == OnNoBackend::drop ? Verdict::drop : Verdict::accept;
}

Verdict Steering::rewrite(const BackendPlace& place, const ParsedPacket& parsed,
                          QueuedBytes packet) noexcept {
  // A payload that is not whole must not go back: the kernel would trim the packet to it.
  if (packet.bytes.size() < packet.full_length) return Verdict::accept;
  const Backend& backend = place.backend();
  const auto state = packet.checksum_partial ? ChecksumState::partial : ChecksumState::complete;
  const auto outcome = rewrite_destination(packet.bytes, parsed, backend.address,
                                           place.service->service.port_at(backend), state);
  return outcome == RewriteOutcome::rewritten ? Verdict::accept_rewritten : Verdict::accept;
}

void Steering::ask_shadow(const SteeredService& steered, const FlowKey& flow, std::uint32_t chosen) noexcept {
  PickContext context{shadow_random_, context_.now_ns, context_.worker};
  const auto index = steered.shadow->pick(flow, context);
  const bool names_one = index && *index < steered.backend_slots.size();
  ServiceCounters& service = counters_.services[steered.slot];
  service.shadow_decisions.add();
  if (!names_one) service.shadow_no_backend.add();
  if (names_one) counters_.backends[steered.backend_slots[*index]].shadow_picks.add();
  if (names_one && *index == chosen) return;
  service.shadow_differ.add();
  counters_.backends[steered.backend_slots[chosen]].shadow_lost.add();
  if (names_one) counters_.backends[steered.backend_slots[*index]].shadow_gained.add();
}

void Steering::count_packet(std::uint32_t backend_slot, QueuedBytes packet) noexcept {
  BackendCounters& backend = counters_.backends[backend_slot];
  backend.packets.add();
  backend.bytes.add(packet.full_length);
}

}  // namespace nfsteer::core
