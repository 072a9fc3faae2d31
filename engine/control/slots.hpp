// Gives services and backends the counter slots they keep from snapshot to snapshot.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace nfsteer::control {

// Numbers for keys: a key keeps its number while it is held; the numbers of released keys are given out
// again.
template <typename Key>
class SlotTable {
 public:
  std::uint32_t hold(const Key& key) {
    const auto [place, added] = slots_.try_emplace(key, 0);
    if (!added) return place->second;
    if (free_.empty()) {
      place->second = used_++;
    } else {
      place->second = free_.back();
      free_.pop_back();
    }
    return place->second;
  }

  // Releases every key that `keep(key)` denies, calling released(slot) for each.
  template <typename Keep, typename Released>
  void release_unless(Keep keep, Released released) {
    for (auto place = slots_.begin(); place != slots_.end();) {
      if (keep(place->first)) {
        ++place;
        continue;
      }
      released(place->second);
      free_.push_back(place->second);
      place = slots_.erase(place);
    }
  }

  // One more than the largest slot ever given out.
  std::uint32_t size() const { return used_; }

 private:
  std::map<Key, std::uint32_t> slots_;
  std::vector<std::uint32_t> free_;
  std::uint32_t used_ = 0;
};

}  // namespace nfsteer::control
