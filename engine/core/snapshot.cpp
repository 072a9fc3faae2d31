#include "core/snapshot.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

namespace nfsteer::core {

Snapshot::Snapshot(std::vector<SteeredService> services) : services_(std::move(services)) {
  cells_.resize(std::bit_ceil(services_.size() * 2 + 1));
  for (std::uint32_t index = 0; index < services_.size(); ++index) {
    const SteeredService& steered = services_[index];
    const Service& service = steered.service;
    assert(steered.backend_slots.size() == service.backends.size());

    Key key{.port = service.port,
            .protocol = static_cast<std::uint8_t>(service.protocol),
            .family = service.vip.family()};
    std::ranges::copy(service.vip.bytes(), key.address.begin());
    std::size_t cell = hash_of(key) & (cells_.size() - 1);
    while (cells_[cell].service != kFree)
      cell = (cell + 1) & (cells_.size() - 1);
    cells_[cell] = {key, index};
    present_[static_cast<std::size_t>(specificity(service))] = true;

    for (std::uint32_t backend = 0; backend < steered.backend_slots.size(); ++backend) {
      const std::uint32_t slot = steered.backend_slots[backend];
      if (slot >= places_.size()) places_.resize(slot + 1);
      places_[slot] = {&steered, backend};
    }
  }
}

const SteeredService* Snapshot::find(const FlowKey& flow) const noexcept {
  Key key{.address = flow.destination,
          .port = flow.destination_port,
          .protocol = flow.protocol,
          .family = flow.family};
  if (present_[2] && key.port != 0)
    if (const auto* found = find_exactly(key)) return found;
  key.port = 0;
  if (present_[1])
    if (const auto* found = find_exactly(key)) return found;
  key.protocol = static_cast<std::uint8_t>(Protocol::any);
  return present_[0] ? find_exactly(key) : nullptr;
}

std::uint64_t Snapshot::hash_of(const Key& key) noexcept {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, key.address.data(), 8);
  std::memcpy(&low, key.address.data() + 8, 8);
  std::uint64_t mixed = (high ^ std::rotl(low, 32)) * 0x9e3779b97f4a7c15U;
  mixed ^= (std::uint64_t{key.port} << 8 | key.protocol) * 0xbf58476d1ce4e5b9U;
  return mixed ^ (mixed >> 32);
}

const SteeredService* Snapshot::find_exactly(const Key& key) const noexcept {
  for (std::size_t cell = hash_of(key) & (cells_.size() - 1);; cell = (cell + 1) & (cells_.size() - 1)) {
    if (cells_[cell].service == kFree) return nullptr;
    if (cells_[cell].key == key) return &services_[cells_[cell].service];
  }
}

}  // namespace nfsteer::core
