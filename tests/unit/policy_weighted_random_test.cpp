#include <cmath>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "policy/catalogue.hpp"
#include "policy/weighted_random.hpp"

namespace nfsteer::policy {
namespace {

std::vector<core::Backend> backends_of(const std::vector<std::uint32_t>& weights) {
  std::vector<core::Backend> backends;
  for (std::uint32_t index = 0; index < weights.size(); ++index) {
    const std::uint8_t bytes[]{10, 0, static_cast<std::uint8_t>(index >> 8),
                               static_cast<std::uint8_t>(index)};
    backends.push_back({core::IpAddress::from_bytes(core::Family::ipv4, bytes), 0, weights[index]});
  }
  return backends;
}

// The probability of each backend, read off the table rather than sampled.
std::vector<double> shares_of(const WeightedRandom& policy, std::size_t backends) {
  std::vector<double> shares(backends, 0.0);
  const double column_share = 1.0 / static_cast<double>(policy.columns().size());
  for (const WeightedRandom::Column& column : policy.columns()) {
    const double keep = static_cast<double>(column.keep) / 4294967296.0;
    shares[column.self] += column_share * keep;
    shares[column.alias] += column_share * (1 - keep);
  }
  return shares;
}

std::vector<std::uint32_t> ramp(std::uint32_t count) {
  std::vector<std::uint32_t> weights(count);
  std::iota(weights.begin(), weights.end(), 0U);
  for (auto& weight : weights)
    weight = weight * 7919 % (core::kWeightMax + 1);
  return weights;
}

class WeightedRandomTable : public testing::TestWithParam<std::vector<std::uint32_t>> {};

TEST_P(WeightedRandomTable, SharesAreTheWeightsExactly) {
  const auto& weights = GetParam();
  const auto shares = shares_of(WeightedRandom({backends_of(weights)}), weights.size());
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::size_t index = 0; index < weights.size(); ++index) {
    // Each of the columns a backend appears in is off by at most 2^-32 of that column.
    EXPECT_NEAR(shares[index], weights[index] / sum, std::ldexp(1.0, -32)) << "backend " << index;
    if (weights[index] == 0) {
      EXPECT_EQ(shares[index], 0.0) << "backend " << index;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Weights, WeightedRandomTable,
                         testing::Values(std::vector<std::uint32_t>{1}, std::vector<std::uint32_t>{1, 1},
                                         std::vector<std::uint32_t>{1, 3},
                                         std::vector<std::uint32_t>{1, 1000},
                                         std::vector<std::uint32_t>{0, 5, 0, 0, 1},
                                         std::vector<std::uint32_t>{65535, 1, 65535},
                                         std::vector<std::uint32_t>(1000, 1), ramp(10000)));

TEST(WeightedRandom, PicksAreDrawnAsTheTableSays) {
  const std::vector<std::uint32_t> weights{1, 2, 3, 0, 94};
  const auto backends = backends_of(weights);
  const WeightedRandom policy({backends});
  core::Random random(20260101);
  core::PickContext context{random};
  constexpr int kPicks = 1'000'000;
  std::vector<int> picks(weights.size(), 0);
  for (int pick = 0; pick < kPicks; ++pick)
    ++picks[policy.pick({}, context).value()];
  double chi_square = 0;
  for (std::size_t index = 0; index < weights.size(); ++index) {
    if (weights[index] == 0) {
      EXPECT_EQ(picks[index], 0);
      continue;
    }
    const double expected = kPicks * weights[index] / 100.0;
    chi_square += (picks[index] - expected) * (picks[index] - expected) / expected;
  }
  EXPECT_LT(chi_square, 30.7);  // three degrees of freedom, p = 1e-6
}

TEST(WeightedRandom, NoBackendOfPositiveWeightIsNoBackend) {
  core::Random random(1);
  core::PickContext context{random};
  for (const auto& weights : {std::vector<std::uint32_t>{}, std::vector<std::uint32_t>{0, 0}}) {
    const auto backends = backends_of(weights);
    EXPECT_EQ(WeightedRandom({backends}).pick({}, context), std::nullopt);
  }
}

TEST(WeightedRandom, TheSameSeedGivesTheSamePicks) {
  const auto backends = backends_of({5, 1, 4, 2});
  const WeightedRandom policy({backends});
  core::Random randoms[]{core::Random(7, 3), core::Random(7, 3), core::Random(7, 4)};
  core::PickContext one{randoms[0]};
  core::PickContext same{randoms[1]};
  core::PickContext other_stream{randoms[2]};
  int differences = 0;
  for (int pick = 0; pick < 1000; ++pick) {
    const auto index = policy.pick({}, one);
    EXPECT_EQ(index, policy.pick({}, same));
    differences += index != policy.pick({}, other_stream);
  }
  EXPECT_GT(differences, 300);
}

TEST(Catalogue, BuildsWhatItNamesAndNothingElse) {
  const auto backends = backends_of({1, 1});
  for (const PolicyInfo& each : catalogue()) {
    EXPECT_NE(build({std::string(each.name), {}}, {backends}), nullptr) << each.name;
    EXPECT_EQ(find(each.name), &each) << each.name;
    if (!each.alias.empty()) {
      EXPECT_EQ(find(each.alias), &each) << each.alias;
    }
  }
  EXPECT_EQ(build({"no-such-policy", {}}, {backends}), nullptr);
  EXPECT_EQ(catalogue().front().name, core::Service{}.policy.name);
}

}  // namespace
}  // namespace nfsteer::policy
