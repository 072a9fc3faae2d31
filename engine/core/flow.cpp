#include "core/flow.hpp"

#include <bit>

#include "core/bytes.hpp"

namespace nfsteer::core {
namespace {

// The first digits of pi behind the point: irregular bits that nobody picked.
constexpr std::array<std::uint64_t, 7> kMasks{
    0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89,
    0x452821e638d01377, 0xbe5466cf34e90c6c, 0xc0ac29b7c97c50dd,
};

__extension__ using Wide = unsigned __int128;

std::uint64_t multiply_and_xor(std::uint64_t a, std::uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

std::uint64_t FlowKey::hash(std::uint64_t seed) const noexcept {
  // The two factors of a product get different masks even for equal words.
  const std::uint64_t other_seed = std::rotl(seed, 32);
  const std::uint64_t ports_and_protocol = std::uint64_t{source_port} << 48 |
                                           std::uint64_t{destination_port} << 32 |
                                           std::uint64_t{protocol} << 8 | static_cast<std::uint64_t>(family);
  const std::uint64_t mixed_source =
      multiply_and_xor(load<std::uint64_t>(source.data()) ^ kMasks[0] ^ seed,
                       load<std::uint64_t>(source.data() + 8) ^ kMasks[1] ^ other_seed);
  const std::uint64_t mixed_destination =
      multiply_and_xor(load<std::uint64_t>(destination.data()) ^ kMasks[2] ^ seed,
                       load<std::uint64_t>(destination.data() + 8) ^ kMasks[3] ^ other_seed);
  const std::uint64_t mixed =
      multiply_and_xor(mixed_source ^ ports_and_protocol ^ kMasks[4], mixed_destination ^ kMasks[5] ^ seed);
  return multiply_and_xor(mixed ^ kMasks[6], other_seed ^ kMasks[0]);
}

}  // namespace nfsteer::core
