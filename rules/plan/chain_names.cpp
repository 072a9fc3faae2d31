#include "plan/chain_names.hpp"

#include <cstdint>
#include <cstdio>

#include "plan/rule_set.hpp"

namespace nfsteer::rules {

namespace {

constexpr std::size_t kHashDigits = 6;
constexpr std::size_t kReadableMax = kChainNameMax - kChainPrefix.size() - kHashDigits - 2;  // two dashes

}  // namespace

std::uint32_t stable_hash(std::string_view text) {
  std::uint32_t hash = 2166136261U;
  for (char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  return hash;
}

std::string ChainNames::make(std::string_view readable, std::string_view identity) {
  std::string salted(identity);
  for (;;) {
    char digits[kHashDigits + 1];
    std::snprintf(digits, sizeof digits, "%06x", stable_hash(salted) & 0xffffffU);
    std::string name = std::string(kChainPrefix) + '-';
    name.append(readable.substr(0, kReadableMax)).append(1, '-').append(digits);
    if (taken_.insert(name).second) return name;
    salted += '+';
  }
}

}  // namespace nfsteer::rules
