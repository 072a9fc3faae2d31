#include "policy/hashing.hpp"

#include <array>
#include <cstring>

namespace nfsteer::policy {

std::uint64_t identity_hash(const core::Backend& backend, std::uint64_t seed) {
  std::array<std::uint64_t, 2> words{};
  const auto bytes = backend.address.bytes();
  std::memcpy(words.data(), bytes.data(), bytes.size());
  std::uint64_t hash = mix(seed ^ 0x9e3779b97f4a7c15U);
  for (const std::uint64_t word : words)
    hash = mix(hash ^ word) + word;
  return mix(hash ^
             (std::uint64_t{backend.port} << 8 | static_cast<std::uint64_t>(backend.address.family())));
}

}  // namespace nfsteer::policy
