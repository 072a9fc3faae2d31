#include "lab/statistics.hpp"

#include <cmath>

namespace nfsteer::lab {
namespace {

constexpr double kEnough = 1e-14;
constexpr double kTiny = 1e-300;

int terms_max(double a) {  // both converge within some multiple of sqrt(a)
  return 200 + static_cast<int>(20 * std::sqrt(a));
}

double lower_by_series(double a, double x) {
  double term = 1 / a;
  double sum = term;
  for (int n = 1; n < terms_max(a) && term > sum * kEnough; ++n) {
    term *= x / (a + n);
    sum += term;
  }
  return sum;
}

double upper_by_fraction(double a, double x) {
  double b = x + 1 - a;
  double c = 1 / kTiny;
  double d = 1 / b;
  double h = d;
  for (int n = 1; n < terms_max(a); ++n) {
    const double an = -n * (n - a);
    b += 2;
    d = an * d + b;
    if (std::abs(d) < kTiny) d = kTiny;
    c = b + an / c;
    if (std::abs(c) < kTiny) c = kTiny;
    d = 1 / d;
    h *= d * c;
    if (std::abs(d * c - 1) < kEnough) break;
  }
  return h;
}

}  // namespace

double gamma_q(double a, double x) {
  if (x <= 0) return 1;
  const double scale = std::exp(-x + a * std::log(x) - std::lgamma(a));
  return x < a + 1 ? 1 - scale * lower_by_series(a, x) : scale * upper_by_fraction(a, x);
}

double ChiSquare::p_value() const {
  return degrees == 0 ? 1 : gamma_q(static_cast<double>(degrees) / 2, value / 2);
}

}  // namespace nfsteer::lab
