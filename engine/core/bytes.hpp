// Reads and writes of integers at any address of a packet. Callers check bounds.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>

namespace nfsteer::core {

// In the byte order of this machine; for sums, hashes and comparisons, where the order does not matter.
template <std::unsigned_integral Word>
Word load(const std::uint8_t* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

template <std::unsigned_integral Word>
void store(std::uint8_t* at, Word word) {
  std::memcpy(at, &word, sizeof word);
}

// Network byte order.
inline std::uint16_t load_be16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

inline void store_be16(std::uint8_t* at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

}  // namespace nfsteer::core
