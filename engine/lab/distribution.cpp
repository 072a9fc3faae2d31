#include "lab/distribution.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace nfsteer::lab {
namespace {

double normal(core::Random& random) {  // Box and Muller 1958
  const double radius = std::sqrt(-2 * std::log(uniform(random)));
  return radius * std::cos(2 * std::numbers::pi * uniform(random));
}

}  // namespace

std::string_view to_string(Shape shape) {
  switch (shape) {
    case Shape::constant:
      return "constant";
    case Shape::exponential:
      return "exponential";
    case Shape::lognormal:
      return "lognormal";
    case Shape::pareto:
      return "pareto";
  }
  return {};
}

double exponential(core::Random& random, double mean) {
  return -mean * std::log(uniform(random));
}

double Distribution::sample(core::Random& random) const {
  switch (shape) {
    case Shape::constant:
      return mean;
    case Shape::exponential:
      return exponential(random, mean);
    case Shape::lognormal:  // E = exp(mu + sigma^2 / 2)
      return mean * std::exp(form * normal(random) - form * form / 2);
    case Shape::pareto:  // E = smallest * alpha / (alpha - 1)
      return mean * (form - 1) / form * std::pow(uniform(random), -1 / form);
  }
  return mean;
}

// The density x^-skew and its integral, written so that skew 1 needs no case of its own.
double Zipf::density(double x) const {
  return std::exp(-skew_ * std::log(x));
}

double Zipf::integral(double x) const {
  const double log_x = std::log(x);
  const double power = (1 - skew_) * log_x;
  return log_x * (std::abs(power) > 1e-8 ? std::expm1(power) / power : 1 + power / 2);
}

double Zipf::integral_inverse(double y) const {
  const double power = std::max(y * (1 - skew_), -1.0);
  return std::exp(y * (std::abs(power) > 1e-8 ? std::log1p(power) / power : 1 - power / 2));
}

Zipf::Zipf(std::uint32_t count, double skew) : count_(count), skew_(skew) {
  from_ = integral(1.5) - 1;
  to_ = integral(count_ + 0.5);
  squeeze_ = 2 - integral_inverse(integral(2.5) - density(2));
}

std::uint32_t Zipf::sample(core::Random& random) const {
  if (skew_ == 0) return static_cast<std::uint32_t>((uniform(random) - 0x1p-53) * count_);
  while (true) {
    const double y = to_ + uniform(random) * (from_ - to_);
    const double x = integral_inverse(y);
    const double rank = std::clamp(std::floor(x + 0.5), 1.0, count_);
    if (rank - x <= squeeze_ || y >= integral(rank + 0.5) - density(rank))
      return static_cast<std::uint32_t>(rank) - 1;
  }
}

}  // namespace nfsteer::lab
