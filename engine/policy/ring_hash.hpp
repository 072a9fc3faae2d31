// Ring hash, or consistent hashing (D. Karger et al. 1997): every backend has points on a circle, as many as
// its weight says; a flow meets the backend of the next point after its own. With a load factor, consistent
// hashing with bounded loads (V. Mirrokni, M. Thorup, M. Zadimoghaddam 2016): a backend that has its bounded
// share of all connections is passed over, and the next one on the circle takes the flow.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policy/candidates.hpp"
#include "policy/hashing.hpp"
#include "policy/per_worker.hpp"
#include "policy/policy.hpp"

namespace nfsteer::policy {

class RingHash final : public Policy {
 public:
  struct Settings {
    std::uint32_t vnodes = 160;     // points per unit of weight, as nginx and ketama have them
    std::uint32_t load_factor = 0;  // percent of the average load that a backend may have; 0: any
    HashKey key{};
  };
  // A ring that would have more than kPointsMax points has half as many per unit of weight, or a quarter, ...
  static constexpr std::uint64_t kPointsMax = 1U << 20;

  RingHash(const BuildInput& input, Settings settings);

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;
  bool uses_live() const noexcept override { return load_factor_ > 0; }

  std::size_t points() const { return points_.size(); }

 private:
  // All connections, counted now and then: with many backends, counting costs more than picking.
  struct Total {
    std::uint64_t load = 0;
    std::uint64_t counted_ns = 0;
    std::uint32_t picks_left = 0;  // until it is counted anew
  };
  std::size_t first_point(std::uint64_t hash) const noexcept;
  std::uint64_t total_load(core::PickContext& context) const noexcept;
  std::uint32_t bounded(std::size_t point, core::PickContext& context) const noexcept;

  HashKey key_;
  std::uint64_t load_factor_;          // percent; 0: no bound, or nothing is known of the load
  std::vector<Candidate> candidates_;  // by identity
  std::uint64_t weights_ = 0;          // their sum
  // Sorted: the place on the circle in the upper 40 bits, below it the backend as an index of candidates_.
  std::vector<std::uint64_t> points_;
  // For each piece of the circle, of which there are about as many as points: its first point or the next
  // one.
  std::vector<std::uint32_t> guide_;
  std::uint32_t guide_shift_ = 0;
  PerWorker<Total> totals_;
};

}  // namespace nfsteer::policy
