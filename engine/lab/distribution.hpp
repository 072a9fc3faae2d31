// What the simulator draws by chance: times, sizes, and which client comes next.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/random.hpp"

namespace nfsteer::lab {

enum class Shape : std::uint8_t { constant, exponential, lognormal, pareto };
std::string_view to_string(Shape shape);

// Uniform in (0, 1]: its logarithm is finite.
inline double uniform(core::Random& random) {
  return (static_cast<double>(random.next() >> 11) + 1) * 0x1p-53;
}
double exponential(core::Random& random, double mean);

// Of a positive quantity, in the unit of its mean. Every shape has that mean.
struct Distribution {
  Shape shape = Shape::exponential;
  double mean = 0;
  // lognormal: the standard deviation of the logarithm. pareto: the exponent alpha of the tail,
  // P(X > x) ~ x^-alpha, above 1 (no mean otherwise); at 2 or below the variance is infinite.
  double form = 0;

  double sample(core::Random& random) const;

  friend bool operator==(const Distribution&, const Distribution&) = default;
};

// Ranks 0..count-1, rank k with a probability proportional to (k + 1)^-skew; skew 0 is uniform. By
// rejection-inversion (W. Hoermann, G. Derflinger 1996, "Rejection-inversion to generate variates from
// monotone discrete distributions"): constant time, no table.
class Zipf {
 public:
  Zipf(std::uint32_t count, double skew);  // count >= 1, skew >= 0
  std::uint32_t sample(core::Random& random) const;

 private:
  double integral(double x) const;
  double integral_inverse(double y) const;
  double density(double x) const;

  double count_;
  double skew_;
  double from_ = 0;
  double to_ = 0;
  double squeeze_ = 0;
};

}  // namespace nfsteer::lab
