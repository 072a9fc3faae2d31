#include "policy/catalogue.hpp"

#include <algorithm>
#include <array>

#include "policy/weighted_random.hpp"

namespace nfsteer::policy {
namespace {

using Build = std::shared_ptr<const Policy> (*)(std::span<const core::Backend>);

template <typename T>
std::shared_ptr<const Policy> make(std::span<const core::Backend> backends) {
  return std::make_shared<T>(backends);
}

struct Row {
  std::string_view name;
  Build build;
};

constexpr std::array kCatalogue{
    Row{"weighted-random", make<WeightedRandom>},
};

constexpr auto kNames = [] {
  std::array<std::string_view, kCatalogue.size()> names;
  std::transform(kCatalogue.begin(), kCatalogue.end(), names.begin(),
                 [](const Row& row) { return row.name; });
  return names;
}();

}  // namespace

std::span<const std::string_view> names() {
  return kNames;
}

std::shared_ptr<const Policy> build(std::string_view name, std::span<const core::Backend> backends) {
  const auto* row =
      std::find_if(kCatalogue.begin(), kCatalogue.end(), [&](const Row& each) { return each.name == name; });
  return row == kCatalogue.end() ? nullptr : row->build(backends);
}

}  // namespace nfsteer::policy
