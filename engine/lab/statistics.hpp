// The statistics that a report needs.
#pragma once

#include <cstdint>

namespace nfsteer::lab {

// Pearson's statistic over one or more multinomial samples, added up with their degrees of freedom.
struct ChiSquare {
  double value = 0;
  std::uint64_t degrees = 0;

  void add(double observed, double expected) {
    value += (observed - expected) * (observed - expected) / expected;
  }
  // The probability of a value this large or larger, if the shares are those expected; 1 without degrees of
  // freedom.
  double p_value() const;
};

// The regularized upper incomplete gamma function Q(a, x), a > 0, x >= 0 (NIST DLMF 8.2.4): its series
// (8.11.4) where x < a + 1, its continued fraction (8.9.2) by Lentz' method elsewhere.
double gamma_q(double a, double x);

}  // namespace nfsteer::lab
