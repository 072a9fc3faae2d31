// Two different backends drawn by weight, for the policies that compare two instead of all (M. Mitzenmacher,
// "The power of two choices in randomized load balancing", 2001).
#pragma once

#include <span>
#include <vector>

#include "policy/candidates.hpp"
#include "policy/cumulative_table.hpp"

namespace nfsteer::policy {

class TwoCandidates {
 public:
  explicit TwoCandidates(const BuildInput& input);

  bool empty() const { return candidates_.empty(); }

  struct Pair {
    const Candidate& first;   // as the weights say
    const Candidate& second;  // as the weights of all others say; the same if there is no other
  };
  // There must be candidates.
  Pair draw(core::Random& random) const noexcept;

 private:
  std::vector<Candidate> candidates_;
  CumulativeTable table_;
};

}  // namespace nfsteer::policy
