#include "policy/two_candidates.hpp"

#include "policy/hashing.hpp"

namespace nfsteer::policy {

TwoCandidates::TwoCandidates(const BuildInput& input)
    : candidates_(candidates(usable(input.backends), input.live)), table_(usable(input.backends)) {}

TwoCandidates::Pair TwoCandidates::draw(core::Random& random) const noexcept {
  const std::uint32_t first = table_.find(below(random.next(), table_.sum()));
  if (candidates_.size() == 1) return {candidates_[first], candidates_[first]};
  // A position on the line from which the first one has been cut out.
  const std::uint64_t begin = table_.begin_of(first);
  const std::uint64_t length = table_.end_of(first) - begin;
  const std::uint64_t position = below(random.next(), table_.sum() - length);
  const std::uint32_t second = table_.find(position < begin ? position : position + length);
  return {candidates_[first], candidates_[second]};
}

}  // namespace nfsteer::policy
