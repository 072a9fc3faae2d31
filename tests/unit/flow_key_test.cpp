#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

#include "core/flow.hpp"

namespace nfsteer::core {
namespace {

FlowKey key_v4(std::uint32_t client, std::uint16_t port) {
  FlowKey key;
  key.source = {10, static_cast<std::uint8_t>(client >> 16), static_cast<std::uint8_t>(client >> 8),
                static_cast<std::uint8_t>(client)};
  key.destination = {10, 0, 0, 40};
  key.source_port = port;
  key.destination_port = 80;
  key.protocol = 6;
  return key;
}

FlowKey random_key(std::mt19937_64& random) {
  FlowKey key;
  for (auto& byte : key.source)
    byte = static_cast<std::uint8_t>(random());
  for (auto& byte : key.destination)
    byte = static_cast<std::uint8_t>(random());
  key.source_port = static_cast<std::uint16_t>(random());
  key.destination_port = static_cast<std::uint16_t>(random());
  key.protocol = static_cast<std::uint8_t>(random());
  key.family = Family::ipv6;
  return key;
}

constexpr std::size_t kFreeBits = (sizeof(FlowKey) - 1) * 8;  // all but the family

FlowKey with_flipped_bit(FlowKey key, std::size_t bit) {
  std::array<std::uint8_t, sizeof(FlowKey)> bytes{};
  std::memcpy(bytes.data(), &key, sizeof key);
  bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
  std::memcpy(&key, bytes.data(), sizeof key);
  return key;
}

// The keys of 64 clients with 1024 consecutive ports each, of one family.
std::vector<FlowKey> busy_clients() {
  std::vector<FlowKey> keys;
  for (std::uint32_t client = 0; client < 64; ++client)
    for (unsigned port = 32768; port < 32768 + 1024; ++port)
      keys.push_back(key_v4(client, static_cast<std::uint16_t>(port)));
  return keys;
}

TEST(FlowKey, EveryBitCountsForEqualityAndHash) {
  std::mt19937_64 random(1);
  const FlowKey key = random_key(random);
  for (std::size_t bit = 0; bit < kFreeBits; ++bit) {
    const FlowKey other = with_flipped_bit(key, bit);
    EXPECT_NE(key, other) << "bit " << bit;
    EXPECT_NE(key.hash(1), other.hash(1)) << "bit " << bit;
  }
  FlowKey other_family = key;
  other_family.family = Family::ipv4;
  EXPECT_NE(key, other_family);
  EXPECT_NE(key.hash(1), other_family.hash(1));
  EXPECT_EQ(key, FlowKey(key));
  EXPECT_EQ(key.hash(1), FlowKey(key).hash(1));
}

TEST(FlowKey, SeedsGiveUnrelatedHashes) {
  const FlowKey key = key_v4(1, 40000);
  std::unordered_set<std::uint64_t> hashes;
  for (std::uint64_t seed = 0; seed < 10000; ++seed)
    hashes.insert(key.hash(seed));
  EXPECT_EQ(hashes.size(), 10000U);
}

TEST(FlowKey, EachBitOfTheKeyFlipsEachBitOfTheHashHalfOfTheTime) {
  constexpr int kKeys = 2000;
  std::mt19937_64 random(2);
  std::vector<std::array<int, 64>> flips(kFreeBits);
  for (int round = 0; round < kKeys; ++round) {
    const FlowKey key = random_key(random);
    const std::uint64_t hash = key.hash(3);
    for (std::size_t bit = 0; bit < kFreeBits; ++bit) {
      const std::uint64_t changed = hash ^ with_flipped_bit(key, bit).hash(3);
      for (std::size_t out = 0; out < 64; ++out)
        flips[bit][out] += static_cast<int>(changed >> out & 1);
    }
  }
  // 5.4 standard deviations: one in 14 million, for 19000 pairs.
  const double bound = 5.4 * 0.5 / std::sqrt(double{kKeys});
  for (std::size_t bit = 0; bit < kFreeBits; ++bit)
    for (std::size_t out = 0; out < 64; ++out)
      ASSERT_NEAR(double(flips[bit][out]) / kKeys, 0.5, bound) << "key bit " << bit << ", hash bit " << out;
}

TEST(FlowKey, NeighbouringFlowsSpreadEvenlyOverBucketsOfAnyBits) {
  constexpr std::size_t kBuckets = 1024;
  const auto keys = busy_clients();
  for (const int shift : {0, 27, 54}) {
    std::vector<double> counts(kBuckets);
    for (const FlowKey& key : keys)
      counts[key.hash(4) >> shift & (kBuckets - 1)] += 1;
    const double expected = double(keys.size()) / kBuckets;
    double chi_square = 0;
    for (const double count : counts)
      chi_square += (count - expected) * (count - expected) / expected;
    // 1023 degrees of freedom: mean 1023, standard deviation 45. Too even would be as suspicious as too
    // uneven.
    EXPECT_NEAR(chi_square, kBuckets - 1, 5 * 45.2) << "bits from " << shift;
  }
}

TEST(FlowKey, NeighbouringFlowsDoNotCollide) {
  std::unordered_set<std::uint64_t> hashes;
  const auto keys = busy_clients();
  for (const FlowKey& key : keys)
    hashes.insert(key.hash(5));
  EXPECT_EQ(hashes.size(), keys.size());
}

TEST(FlowKey, AddressesComeBackInTheirFamily) {
  FlowKey key = key_v4(0x000102, 1);
  EXPECT_EQ(key.source_address().to_string(), "10.0.1.2");
  EXPECT_EQ(key.destination_address().to_string(), "10.0.0.40");
  key.family = Family::ipv6;
  key.destination = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40};
  EXPECT_EQ(key.destination_address().to_string(), "fd00::40");
}

}  // namespace
}  // namespace nfsteer::core
