#include "health/check_queue.hpp"

#include <cassert>

namespace nfsteer::health {

void CheckQueue::wait(Id id, Lane lane, TimePoint due) {
  forget(id);
  waiting_[index(lane)].emplace(due, id);
  places_[id] = {lane, due};
}

void CheckQueue::forget(Id id) {
  const auto place = places_.find(id);
  if (place == places_.end()) return;
  waiting_[index(place->second.first)].erase({place->second.second, id});
  places_.erase(place);
}

std::optional<std::size_t> CheckQueue::next_lane() const {
  std::optional<std::size_t> next;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (waiting_[lane].empty() || running_[lane] >= max_[lane]) continue;
    if (!next || *waiting_[lane].begin() < *waiting_[*next].begin()) next = lane;
  }
  return next;
}

std::optional<CheckQueue::Id> CheckQueue::start(TimePoint now) {
  const auto lane = next_lane();
  if (!lane || waiting_[*lane].begin()->first > now) return std::nullopt;
  const Id id = waiting_[*lane].begin()->second;
  forget(id);
  ++running_[*lane];
  return id;
}

void CheckQueue::ended(Lane lane) {
  assert(running_[index(lane)] > 0);
  --running_[index(lane)];
}

CheckQueue::TimePoint CheckQueue::next_start() const {
  const auto lane = next_lane();
  return lane ? waiting_[*lane].begin()->first : kNever;
}

}  // namespace nfsteer::health
