// Distributions have the means and shapes that they claim; histograms and p-values are right.
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "lab/distribution.hpp"
#include "lab/histogram.hpp"
#include "lab/statistics.hpp"

namespace nfsteer::lab {
namespace {

TEST(LabDistribution, EveryShapeHasItsMean) {
  core::Random random(1);
  for (const Distribution& each :
       {Distribution{Shape::constant, 5, 0}, Distribution{Shape::exponential, 5, 0},
        Distribution{Shape::lognormal, 5, 1}, Distribution{Shape::pareto, 5, 3}}) {
    double sum = 0;
    for (int i = 0; i < 400'000; ++i)
      sum += each.sample(random);
    EXPECT_NEAR(sum / 400'000, 5, 0.08) << to_string(each.shape);
  }
}

TEST(LabDistribution, TailsAreAsHeavyAsTheyClaim) {
  core::Random random(2);
  const Distribution pareto{Shape::pareto, 3, 1.5};                  // the smallest is 1: P(X > x) = x^-1.5
  const Distribution lognormal{Shape::lognormal, std::exp(0.5), 1};  // the median is 1
  int far = 0;
  int above = 0;
  for (int i = 0; i < 400'000; ++i) {
    far += pareto.sample(random) > 10 ? 1 : 0;
    above += lognormal.sample(random) > std::exp(1) ? 1 : 0;
  }
  EXPECT_NEAR(far / 400'000.0, std::pow(10, -1.5), 0.002);
  EXPECT_NEAR(above / 400'000.0, 0.15866, 0.004);
}

TEST(LabDistribution, ZipfRanksFollowTheirPower) {
  for (const double skew : {0.0, 0.7, 1.0, 1.6}) {
    core::Random random(3);
    const Zipf zipf(50, skew);
    std::vector<double> counts(50);
    for (int i = 0; i < 500'000; ++i)
      ++counts.at(zipf.sample(random));
    double sum = 0;
    for (int rank = 1; rank <= 50; ++rank)
      sum += std::pow(rank, -skew);
    ChiSquare fit;
    fit.degrees = 49;
    for (int rank = 1; rank <= 50; ++rank)
      fit.add(counts[static_cast<std::size_t>(rank - 1)], 500'000 * std::pow(rank, -skew) / sum);
    EXPECT_GT(fit.p_value(), 1e-4) << skew;
  }
}

TEST(LabStatistics, PValuesAreThoseOfTheTables) {
  const auto p = [](double value, std::uint64_t degrees) { return ChiSquare{value, degrees}.p_value(); };
  EXPECT_NEAR(p(3.841, 1), 0.05, 1e-4);
  EXPECT_NEAR(p(18.307, 10), 0.05, 1e-4);
  EXPECT_NEAR(p(23.209, 10), 0.01, 1e-4);
  EXPECT_NEAR(p(1074.679, 1000), 0.05, 1e-4);
  EXPECT_NEAR(p(2, 2), std::exp(-1), 1e-12);
  EXPECT_EQ(p(0, 5), 1);
  EXPECT_EQ(p(7, 0), 1);
  EXPECT_LT(p(1e6, 9), 1e-100);
}

TEST(LabHistogram, QuantilesAreOffByLittle) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 1'000'000; ++value)
    histogram.add(value * 1000);
  for (const double q : {0.001, 0.5, 0.99, 0.999})
    EXPECT_NEAR(histogram.quantile(q), q * 1e9, 0.002 * q * 1e9) << q;
  EXPECT_EQ(histogram.quantile(1), 1e9);
  EXPECT_EQ(histogram.count(), 1'000'000U);
  EXPECT_DOUBLE_EQ(histogram.mean(), 500'000'500.0);
}

TEST(LabHistogram, TellsWhatAllValuesShareExactly) {
  Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0);
  histogram.add(123'456'789);
  histogram.add(123'456'789);
  EXPECT_EQ(histogram.quantile(0.5), 123'456'789);
  Histogram small;
  for (const std::uint64_t value : {0U, 1U, 255U, 256U, 511U})
    small.add(value);
  std::vector<double> seen;
  small.for_each([&](double value, std::uint64_t) { seen.push_back(value); });
  EXPECT_EQ(seen, (std::vector<double>{0, 1, 255, 256, 511}));
  small.add(~std::uint64_t{0});
  EXPECT_NEAR(small.quantile(1), 1.8446744073709552e19, 1e17);
}

}  // namespace
}  // namespace nfsteer::lab
