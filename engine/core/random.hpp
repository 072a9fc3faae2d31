// Random numbers for balancing decisions: xoshiro256++ 1.0 (Blackman and Vigna, https://prng.di.unimi.it,
// public domain algorithm), seeded through splitmix64. Not for secrets. One generator per worker, never
// shared.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace nfsteer::core {

class Random {
 public:
  // Generators with the same seed and different streams are independent for our purposes: worker w uses
  // stream w.
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0) {
    std::uint64_t state = seed ^ (stream * 0xd1342543de82ef95U);
    for (auto& word : state_) {
      state += 0x9e3779b97f4a7c15U;
      std::uint64_t mixed = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9U;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
      word = mixed ^ (mixed >> 31);
    }
  }

  // All 64 bits are uniform.
  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace nfsteer::core
