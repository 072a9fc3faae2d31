// Peak EWMA, after Finagle's and linkerd's balancer of that name: of two backends drawn by weight, the one
// whose latency, times its connections with the new one counted in, is less for its weight. The latency is
// that of TCP handshakes, as a moving average that follows a rise at once (LiveBackend::latency_us()).
#pragma once

#include <cstdint>
#include <optional>

#include "policy/policy.hpp"
#include "policy/two_candidates.hpp"

namespace nfsteer::policy {

// A backend of unknown latency is taken to be as fast as the one it is compared with: it gets traffic, which
// makes its latency known, but no more than its connections allow. If neither is known, as for UDP, they
// alone decide. Equally good ones, or no live state: the first drawn, which is weighted random.
class PeakEwma final : public Policy {
 public:
  explicit PeakEwma(const BuildInput& input) : candidates_(input) {}

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;
  bool uses_live() const noexcept override { return true; }

 private:
  TwoCandidates candidates_;
};

}  // namespace nfsteer::policy
