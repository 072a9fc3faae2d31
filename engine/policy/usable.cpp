#include "policy/usable.hpp"

#include <algorithm>
#include <tuple>

namespace nfsteer::policy {

std::vector<Usable> usable(std::span<const core::Backend> backends) {
  std::vector<Usable> result;
  for (std::uint32_t index = 0; index < backends.size(); ++index)
    if (backends[index].weight > 0) result.push_back({index, backends[index].weight});
  return result;
}

std::vector<Usable> usable_by_identity(std::span<const core::Backend> backends) {
  std::vector<Usable> result = usable(backends);
  // The weight tells apart what is listed twice.
  const auto key = [&](const Usable& each) {
    const core::Backend& backend = backends[each.index];
    return std::tie(backend.address, backend.port, backend.weight);
  };
  std::stable_sort(result.begin(), result.end(),
                   [&](const Usable& a, const Usable& b) { return key(a) < key(b); });
  return result;
}

std::vector<Usable> usable_by_rank(std::span<const core::Backend> backends) {
  std::vector<Usable> result = usable_by_identity(backends);
  std::stable_sort(result.begin(), result.end(),
                   [](const Usable& a, const Usable& b) { return a.weight > b.weight; });
  return result;
}

}  // namespace nfsteer::policy
