// The configuration as the workers see it: immutable, built by the control thread, replaced as a whole.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/flow.hpp"
#include "core/live_backend.hpp"
#include "core/picker.hpp"
#include "core/service.hpp"

namespace nfsteer::core {

class AffinityTable;

// A service with what the data path adds to it. Slots are indices into the workers' counter banks; a service
// or backend keeps its slot from snapshot to snapshot for as long as it is configured.
struct SteeredService {
  Service service;
  std::shared_ptr<const Picker> picker;      // built from service.backends
  std::uint32_t slot = 0;                    // in WorkerCounters::services
  std::vector<std::uint32_t> backend_slots;  // in WorkerCounters::backends; as long as service.backends
  std::shared_ptr<const Picker> shadow{};    // asked as well, without effect; null: there is none
  std::vector<LiveBackend*> live{};          // as long where the picker uses them, else empty
  AffinityTable* affinity = nullptr;         // set where service.affinity is; outlives the snapshot
};

// Where a backend slot stands in a snapshot.
struct BackendPlace {
  const SteeredService* service = nullptr;  // null: no backend has this slot
  std::uint32_t index = 0;                  // into service->service.backends

  const Backend& backend() const { return service->service.backends[index]; }
};

class Snapshot {
 public:
  // No two services have the same VIP, protocol and port.
  explicit Snapshot(std::vector<SteeredService> services);
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  const std::vector<SteeredService>& services() const { return services_; }

  // The most specific service that a flow's destination belongs to, or null.
  const SteeredService* find(const FlowKey& flow) const noexcept;

  BackendPlace place_of(std::uint32_t backend_slot) const noexcept {
    return backend_slot < places_.size() ? places_[backend_slot] : BackendPlace{};
  }

 private:
  struct Key {
    std::array<std::uint8_t, 16> address{};
    std::uint16_t port = 0;
    std::uint8_t protocol = 0;
    Family family = Family::ipv4;
    friend bool operator==(const Key&, const Key&) = default;
  };
  static std::uint64_t hash_of(const Key& key) noexcept;
  const SteeredService* find_exactly(const Key& key) const noexcept;

  std::vector<SteeredService> services_;
  std::vector<BackendPlace> places_;  // by backend slot

  // Open addressing with linear probing, at most half full; nothing is ever removed.
  struct Cell {
    Key key;
    std::uint32_t service = kFree;
  };
  static constexpr std::uint32_t kFree = ~0U;
  std::vector<Cell> cells_;
  // Which specificities (core/service.hpp) occur at all, so that a lookup skips the others. IP protocols that
  // carry no port of ours have port 0 in their flows and never meet a service with a port.
  std::array<bool, 3> present_{};
};

}  // namespace nfsteer::core
