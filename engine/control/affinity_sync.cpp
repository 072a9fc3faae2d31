#include "control/affinity_sync.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include <spdlog/spdlog.h>

#include "plan/affinity.hpp"
#include "tracking/start_thread.hpp"

namespace nfsteer::control {
namespace {

constexpr auto kRound = std::chrono::seconds(1);
constexpr std::size_t kClientsMax = 4096;  // of a round: two milliseconds or so
constexpr std::size_t kListCost = 8;       // reading an empty list takes as long as so many clients

}  // namespace

AffinitySync::~AffinitySync() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

core::AffinityTable* AffinitySync::table_for(const core::Service& service) {
  if (!service.affinity) return nullptr;
  if (!table_) {
    table_ = std::make_unique<core::AffinityTable>(seed_);
    if (const auto length = rules::recent_list_length())
      spdlog::info(
          "affinity: the kernel remembers the last {} clients of each backend for times without an "
          "engine and for mode dnat; xt_recent's parameter ip_list_tot sets how many",
          *length);
  }
  return table_.get();
}

void AffinitySync::adopt(const core::Snapshot& snapshot) {
  const std::lock_guard lock(mutex_);
  lists_.clear();
  next_ = 0;
  const std::set<std::uint32_t> chosen_for = std::exchange(chosen_for_, {});
  bool takes_over = false;
  for (const core::SteeredService& steered : snapshot.services()) {
    const core::Service& service = steered.service;
    if (steered.affinity == nullptr) continue;
    if (service.mode != core::Mode::dnat) {
      chosen_for_.insert(steered.slot);
      takes_over |= !chosen_for.contains(steered.slot);
    }
    for (std::size_t index = 0; index < service.backends.size(); ++index)
      if (service.backends[index].weight > 0)
        lists_.push_back({rules::affinity_list(service, service.backends[index]), *service.affinity,
                          steered.slot, steered.backend_slots[index]});
  }
  if (lists_.empty()) return;
  learn(takes_over ? core::AffinityTable::kDefaultEntries : kClientsMax);
  if (!thread_.joinable()) start();  // again, should it have failed before
  changed_.notify_one();
}

void AffinitySync::start() {
  auto thread = tracking::start_thread("affinity", [this] { run(); });
  if (thread)
    thread_ = *std::move(thread);
  else
    spdlog::warn("what clients the ladder has balanced is not learnt: {}", thread.error().line());
}

void AffinitySync::forget_others(const core::Snapshot& snapshot) {
  if (table_)
    table_->forget_if([&](std::uint32_t slot) { return snapshot.place_of(slot).service == nullptr; });
}

void AffinitySync::run() {
  std::unique_lock lock(mutex_);
  while (!over_) {
    if (lists_.empty()) {
      changed_.wait(lock);
    } else if (changed_.wait_for(lock, kRound) == std::cv_status::timeout) {
      learn(kClientsMax);
    }
  }
}

// Each list at most once.
void AffinitySync::learn(std::size_t clients_max) {
  std::size_t cost = 0;
  for (std::size_t count = 0; count < lists_.size() && cost < clients_max; ++count) {
    cost += kListCost + learn(lists_[next_]);
    next_ = (next_ + 1) % lists_.size();
  }
}

std::size_t AffinitySync::learn(const List& list) {
  const auto clients = rules::read_recent_list(list.name);
  if (!clients) {
    if (!std::exchange(complained_, true))
      spdlog::warn("affinity: what the kernel remembers is not learnt: {}", clients.error().line());
    return 0;
  }
  const std::uint64_t now_ns = rules::monotonic_ns();
  const auto now_s = static_cast<std::uint32_t>(now_ns / 1'000'000'000);
  for (const rules::RecentClient& client : *clients) {
    const std::uint32_t age_s = clock_.age_s(client.last_seen, now_ns);
    if (age_s >= now_s || std::chrono::seconds(age_s) > list.affinity.timeout) continue;
    std::array<std::uint8_t, 16> address{};
    std::ranges::copy(client.address.bytes(), address.begin());
    const std::uint64_t hash =
        table_->hash_of(list.service_slot, list.affinity, client.address.family(), address);
    table_->learn(hash, {list.backend_slot, now_s - age_s});
    // One client in two lists: it was placed anew, or two of its first connections met the ladder at the same
    // moment. The ladder asks one list after the other, so the older entry has to go.
    const auto placed = table_->find(hash);
    if (placed && placed->slot != list.backend_slot) rules::forget_recent_client(list.name, client.address);
  }
  return clients->size();
}

}  // namespace nfsteer::control
