// What the policies that hash have beside the contract: options, keys, and the ring's bounded loads.
#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy/hashing.hpp"
#include "policy/maglev.hpp"
#include "policy/ring_hash.hpp"
#include "policy_support.hpp"

namespace nfsteer::policy::test {
namespace {

std::size_t differing(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  std::size_t count = 0;
  for (std::size_t each = 0; each < a.size(); ++each)
    count += a[each] != b[each];
  return count;
}

class HashingPolicy : public testing::TestWithParam<const char*> {};

TEST_P(HashingPolicy, AnotherSeedGivesAnotherAssignment) {
  const Pool pool(Weights(10, 1));
  const std::string name = GetParam();
  const auto places = places_of(*build(name, pool.input()), 10'000);
  EXPECT_EQ(places_of(*build(name + ",seed=0", pool.input()), 10'000), places);
  EXPECT_NEAR(
      static_cast<double>(differing(places_of(*build(name + ",seed=1", pool.input()), 10'000), places)), 9000,
      500);
}

INSTANTIATE_TEST_SUITE_P(Catalogue, HashingPolicy,
                         testing::Values("source-hash", "flow-hash", "maglev", "rendezvous", "ring-hash"));

// Flows of one client to several services, by several protocols.
std::set<std::uint32_t> places_of_client(const Policy& policy, std::uint32_t client) {
  std::set<std::uint32_t> places;
  Asker asker;
  for (std::uint16_t port = 1024; port < 1224; ++port) {
    core::FlowKey flow = client_flow(client);
    flow.source_port = port;
    flow.destination_port = port % 3;
    flow.protocol = port % 2 == 0 ? 6 : 17;
    places.insert(asker.ask(policy, flow).value());
  }
  return places;
}

TEST(HashKey, AClientMeetsOneBackendOnlyWhereItsAddressAloneDecides) {
  const Pool pool(Weights(10, 1));
  for (const char* spec :
       {"source-hash", "maglev,source_only=1", "rendezvous,source_only=1", "ring-hash,source_only=1"})
    for (std::uint32_t client = 0; client < 20; ++client)
      EXPECT_EQ(places_of_client(*build(spec, pool.input()), client).size(), 1U) << spec;
  for (const char* spec : {"flow-hash", "maglev", "rendezvous", "ring-hash"})
    EXPECT_EQ(places_of_client(*build(spec, pool.input()), 1).size(), 10U) << spec;
}

TEST(HashKey, AnIdentityIsFamilyAddressPortAndSeed) {
  std::set<std::uint64_t> hashes;
  for (const char* address : {"10.0.0.1", "10.0.0.2", "a00:1::", "::a00:1", "fd00::1", "fd00::1:0:0:0"})
    for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{80}})
      for (const std::uint64_t seed : {0U, 1U})
        hashes.insert(identity_hash({core::IpAddress::parse(address).value(), port}, seed));
  EXPECT_EQ(hashes.size(), 6U * 2 * 2);
}

TEST(Maglev, TheTableHasItsSizeAndTheWeightsShares) {
  const Pool pool({1, 2, 0, 3, 94});
  for (const std::uint32_t size : {101U, 5003U, 65537U}) {
    const Maglev policy(pool.input(), size, {});
    ASSERT_EQ(policy.table().size(), size);
    const std::vector<std::uint32_t> places(policy.table().begin(), policy.table().end());
    const auto counts = counts_of(places, 5);
    for (std::size_t index = 0; index < 5; ++index)
      EXPECT_NEAR(counts[index], size * pool.backends[index].weight / 100.0, 1) << index << " of " << size;
  }
}

TEST(Maglev, ExtremeWeightsShareTheTableToo) {
  Weights weights(10'000);
  double sum = 0;
  for (std::uint32_t index = 0; index < weights.size(); ++index)
    sum += weights[index] = 1 + index * 6;
  const Pool pool(weights);
  const Maglev policy(pool.input(), 65537, {});
  const std::vector<std::uint32_t> places(policy.table().begin(), policy.table().end());
  const auto counts = counts_of(places, weights.size());
  for (std::uint32_t index = 0; index < weights.size(); ++index)
    ASSERT_NEAR(counts[index], 65537 * weights[index] / sum, 1.01) << index;
}

TEST(RingHash, PointsFollowWeightsUntilThereAreTooMany) {
  EXPECT_EQ(RingHash(Pool({1, 2, 0}).input(), {}).points(), 480U);
  EXPECT_EQ(RingHash(Pool({1, 2, 0}).input(), {.vnodes = 10}).points(), 30U);
  EXPECT_EQ(RingHash(Pool(Weights(2, 65535)).input(), {}).points(), 2U * 65535 * 5);  // 160 / 2^5
  const auto points = RingHash(Pool(Weights(10'000, 1)).input(), {}).points();
  EXPECT_EQ(points, 800'000U);  // 1.6 million, halved
}

TEST(RingHash, FewPointsFindTheirFlows) {
  const Pool pool(Weights{1});
  for (const char* spec : {"ring-hash,vnodes=1", "ring-hash,vnodes=2", "ring-hash,vnodes=3"})
    EXPECT_EQ(counts_of(places_of(*build(spec, pool.input()), 1000), 1)[0], 1000) << spec;
  const Pool two({1, 1});
  const auto counts = counts_of(places_of(*build("ring-hash,vnodes=1", two.input()), 1000), 2);
  EXPECT_GT(counts[0], 0);
  EXPECT_GT(counts[1], 0);
}

// The flows right before and right after the point where the circle begins meet the same backend.
TEST(RingHash, TheCircleCloses) {
  const Pool pool(Weights(10, 1));
  const auto policy = build("ring-hash,vnodes=1", pool.input());
  const auto by_hash = [](const core::FlowKey& a, const core::FlowKey& b) {
    return HashKey{}.of(a) < HashKey{}.of(b);
  };
  std::vector<core::FlowKey> flows;
  for (std::uint32_t flow = 0; flow < 10'000; ++flow)
    flows.push_back(client_flow(flow));
  const auto [first, last] = std::minmax_element(flows.begin(), flows.end(), by_hash);
  EXPECT_EQ(Asker().ask(*policy, *first), Asker().ask(*policy, *last));
}

// Nine flows of ten are one and the same.
core::FlowKey skewed_flow(std::uint32_t number) {
  return client_flow(number % 10 == 0 ? number : 0);
}

class BoundedRing : public testing::TestWithParam<std::uint32_t> {};

TEST_P(BoundedRing, NobodyExceedsItsBoundUnderSkewedFlows) {
  const Weights weights{1, 2, 3, 0, 4, 10, 20, 5};
  const Pool pool(weights);
  const auto policy = build("ring-hash,load_factor=" + std::to_string(GetParam()), pool.input());
  ASSERT_TRUE(policy->uses_live());
  Asker asker;
  for (std::uint32_t flow = 0; flow < 10'000; ++flow) {
    const std::uint32_t index = asker.ask(*policy, skewed_flow(flow)).value();
    pool.live[index]->picked();
    const std::uint64_t scaled = std::uint64_t{GetParam()} * (flow + 1) * weights[index];
    const std::uint64_t bound = (scaled + 4499) / 4500;  // 100 percent, sum of weights 45
    ASSERT_LE(pool.live[index]->load(), bound) << "backend " << index << ", flow " << flow;
  }
}

INSTANTIATE_TEST_SUITE_P(LoadFactors, BoundedRing, testing::Values(101, 125, 200));

TEST(RingHash, WithRoomABoundChangesNothing) {
  const Pool pool(Weights(10, 1));
  pool.set_loads(std::vector<std::uint32_t>(10, 1000));
  EXPECT_EQ(places_of(*build("ring-hash,load_factor=125", pool.input()), 10'000),
            places_of(*build("ring-hash", pool.input()), 10'000));
}

TEST(RingHash, ABoundNeedsLiveStateOnly) {
  const Pool pool(Weights(10, 1));
  const auto policy = build("ring-hash,load_factor=125", pool.input_without_live());
  EXPECT_FALSE(policy->uses_live());
  EXPECT_EQ(places_of(*policy, 1000), places_of(*build("ring-hash", pool.input()), 1000));
}

// With many backends the total is counted now and then: bounds hold to within what has changed meanwhile.
TEST(RingHash, BoundsHoldAmongManyBackends) {
  constexpr std::uint32_t kBackends = 1000;
  const Pool pool(Weights(kBackends, 1));
  const auto policy = build("ring-hash,load_factor=150", pool.input());
  Asker asker;
  std::uint64_t fullest = 0;
  for (std::uint32_t flow = 0; flow < 20 * kBackends; ++flow) {
    core::LiveBackend& picked = *pool.live[asker.ask(*policy, skewed_flow(flow), flow).value()];
    picked.picked();
    fullest = std::max(fullest, picked.load());
  }
  EXPECT_EQ(fullest, 30U);  // 1.5 times the mean
}

TEST(RingHash, TheTotalIsCountedAnewAfterAWhile) {
  const Pool pool(Weights(1000, 1));
  const auto policy = build("ring-hash,load_factor=150", pool.input());
  Asker asker;
  pool.set_loads(std::vector<std::uint32_t>(1000, 100));
  const std::uint32_t home = asker.ask(*policy, client_flow(1)).value();
  pool.set_loads(std::vector<std::uint32_t>(1000, 10));  // most connections have ended
  pool.live[home]->set_active(100);
  EXPECT_EQ(asker.ask(*policy, client_flow(1)), home);
  EXPECT_NE(asker.ask(*policy, client_flow(1), 20'000'000), home);
}

// Loads that fit no bound arise when the total is old; a pick ends all the same, at the least loaded it saw.
TEST(RingHash, APickEndsEvenIfNobodyHasRoom) {
  const Pool pool(Weights(200, 1));
  const auto policy = build("ring-hash,load_factor=101", pool.input());
  Asker asker;
  EXPECT_TRUE(asker.ask(*policy, client_flow(1)).has_value());  // counts a total of nothing
  std::vector<std::uint32_t> loads(200, 7);
  loads[5] = 6;
  pool.set_loads(loads);
  EXPECT_EQ(asker.ask(*policy, client_flow(1)), 5U);
}

}  // namespace
}  // namespace nfsteer::policy::test
