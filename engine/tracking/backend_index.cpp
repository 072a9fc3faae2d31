#include "tracking/backend_index.hpp"

#include <algorithm>
#include <bit>
#include <set>
#include <tuple>
#include <utility>

#include "core/bytes.hpp"

namespace nfsteer::tracking {
namespace {

using core::Service;

auto scope_of(const Service& service) {
  return std::tuple(service.vip, service.protocol, service.port);
}

}  // namespace

BackendIndex::BackendIndex(std::shared_ptr<const core::Snapshot> lookup)
    : lookup_(std::move(lookup)), read_(lookup_->services().size(), false) {
  std::uint32_t index = 0;
  for (const core::SteeredService& steered : lookup_->services()) {
    for (std::size_t i = 0; i < steered.service.backends.size(); ++i) {
      const core::Backend& backend = steered.service.backends[i];
      Key key{.backend = {.port = steered.service.port_at(backend)}, .service = index};
      std::ranges::copy(backend.address.bytes(), key.backend.address.begin());
      slots_.try_emplace(key, steered.backend_slots[i]);
    }
    ++index;
  }
}

BackendIndex::Place BackendIndex::find(const core::FlowKey& original,
                                       const Endpoint& backend) const noexcept {
  const core::SteeredService* steered = lookup_->find(original);
  if (steered == nullptr) return {};
  Key key{.backend = backend, .service = static_cast<std::uint32_t>(steered - lookup_->services().data())};
  auto found = slots_.find(key);
  if (found == slots_.end()) {
    key.backend.port = 0;
    found = slots_.find(key);
  }
  return {key.service, found == slots_.end() ? kNone : found->second};
}

bool BackendIndex::all_read() const {
  return std::ranges::find(read_, false) == read_.end();
}

void BackendIndex::take_over_read(const BackendIndex& before) {
  std::set<decltype(scope_of(std::declval<const Service&>()))> read;
  for (std::size_t i = 0; i < before.read_.size(); ++i)
    if (before.read_[i]) read.insert(scope_of(before.lookup().services()[i].service));
  for (std::size_t i = 0; i < read_.size(); ++i)
    read_[i] = read.contains(scope_of(lookup_->services()[i].service));
}

// The keys are the configuration's, so nobody can aim for collisions.
std::size_t BackendIndex::Hash::operator()(const Key& key) const noexcept {
  const auto high = core::load<std::uint64_t>(key.backend.address.data());
  const auto low = core::load<std::uint64_t>(key.backend.address.data() + 8);
  std::uint64_t mixed = (high ^ std::rotl(low, 32)) * 0x9e3779b97f4a7c15U;
  mixed ^= (std::uint64_t{key.service} << 16 | key.backend.port) * 0xbf58476d1ce4e5b9U;
  return mixed ^ mixed >> 29;
}

}  // namespace nfsteer::tracking
