// What the policies that hash share. None of it is cryptographic: a client that knows the seed can choose
// addresses and ports that all meet one backend. The default seed is known to everybody; where clients must
// not aim, configure one that they do not know (option "seed").
#pragma once

#include <bit>
#include <cstdint>

#include "core/bytes.hpp"
#include "core/flow.hpp"
#include "core/service.hpp"

namespace nfsteer::policy {

__extension__ using Wide = unsigned __int128;

// The output function of splitmix64: a bijection in which each bit of the argument reaches all of the result.
constexpr std::uint64_t mix(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9U;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebU;
  return bits ^ (bits >> 31);
}

// From 64 uniform bits, a number below `count`; off from uniform by at most count / 2^64.
constexpr std::uint64_t below(std::uint64_t bits, std::uint64_t count) {
  return static_cast<std::uint64_t>((static_cast<Wide>(bits) * count) >> 64);
}

// Of a backend's address and port: the same in every list, and on every machine of one byte order.
std::uint64_t identity_hash(const core::Backend& backend, std::uint64_t seed);

// What of a flow decides.
struct HashKey {
  std::uint64_t seed = 0;
  bool source_only = false;  // the client's address alone: all its flows meet one backend

  std::uint64_t of(const core::FlowKey& flow) const noexcept {
    if (!source_only) return flow.hash(seed);
    const auto first = core::load<std::uint64_t>(flow.source.data());
    const auto second = core::load<std::uint64_t>(flow.source.data() + 8);
    const auto family = static_cast<std::uint64_t>(flow.family);
    return mix(mix(first ^ seed ^ 0x9e3779b97f4a7c15U) ^ second ^ std::rotl(seed ^ family, 32));
  }
};

}  // namespace nfsteer::policy
