// A custom policy with a net below it. What a policy from a file answers is judged, and a decision that it
// gets wrong is made by weighted random over the same backends:
//
//   an index that no backend has; a backend of weight 0; kFailedPick; a decision longer than the budget
//
// are counted each (the last one stands: it has been made, if late). A policy that is too slow again and
// again, or wrong in most of its decisions, is set aside: weighted random decides from then on.
//
// Reading a clock would cost as much as a decision. So one of kTimedEvery is timed, and every one for a while
// after one was too slow: what happens once is seen by chance, what happens often is seen soon.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/counters.hpp"
#include "policy/policy.hpp"
#include "policy/weighted_random.hpp"

namespace nfsteer::policy {

// A policy's answer that says it has failed: no index of any backend.
inline constexpr std::uint32_t kFailedPick = UINT32_MAX - 1;

// One decision of so many is timed; a power of two.
inline constexpr std::uint64_t kTimedEvery = 64;
// So many decisions of a worker are timed after one that was too slow.
inline constexpr std::uint64_t kTimedAfterOverrun = 1024;
// So many that were too slow within a period, of all workers together, set a policy aside.
inline constexpr std::uint32_t kOverrunsMax = 3;
inline constexpr std::uint64_t kOverrunPeriod_ns = 10'000'000'000;
// A policy is judged by its faults once it has decided so often since the last time.
inline constexpr std::uint64_t kJudgedPicksMin = 32;

struct GuardLimits {
  std::uint64_t budget_ns = 100'000;               // of one decision
  std::uint64_t (*clock_ns)() noexcept = nullptr;  // monotonic; null: decisions are not timed
};

// What a policy has done. Sums over all workers.
struct GuardReport {
  std::uint64_t picks = 0;  // decisions it was asked for
  std::uint64_t out_of_range = 0;
  std::uint64_t weight_zero = 0;
  std::uint64_t failed = 0;
  std::uint64_t overruns = 0;  // of the decisions that were timed
  std::uint64_t worst_ns = 0;  // of the overruns
  bool set_aside = false;
  std::string reason;  // why, one line; empty: it is not

  std::uint64_t faults() const { return out_of_range + weight_zero + failed; }
};

// Of one custom policy, for as long as it is one: when backends change, the new object goes on with the
// record of the old one, and stays set aside.
class GuardRecord {
 public:
  GuardRecord(std::uint32_t workers, GuardLimits limits) : limits_(limits), lanes_(workers) {}

  GuardReport report() const;
  // On the control thread: sets a policy aside that has been wrong in more than half of its last decisions.
  void judge() noexcept;

 private:
  friend class Guarded;
  enum class Cause : std::uint8_t { none, overruns, faults };
  // What one worker writes.
  struct alignas(64) Lane {
    core::Counter picks;
    core::Counter out_of_range;
    core::Counter weight_zero;
    core::Counter failed;
    core::Counter overruns;
    std::atomic<std::uint64_t> worst_ns{0};
    std::uint64_t timed_mask = kTimedEvery - 1;  // picks & mask == 0: this decision is timed
    std::uint64_t timed_until = 0;               // picks; the mask is 0 up to there
  };
  void overrun(Lane& lane, std::uint64_t took_ns, std::uint64_t now_ns) noexcept;
  bool is_set_aside() const noexcept { return cause_.load(std::memory_order_relaxed) != Cause::none; }

  const GuardLimits limits_;
  std::atomic<Cause> cause_{Cause::none};
  std::vector<Lane> lanes_;  // by worker
  std::atomic<std::uint64_t> period_began_ns_{0};
  std::atomic<std::uint32_t> overruns_in_period_{0};
  std::uint64_t judged_picks_ = 0;
  std::uint64_t judged_faults_ = 0;
  std::uint64_t faults_of_ = 0;  // of so many decisions: what set it aside
};

class Guarded final : public Policy {
 public:
  // `policy` is built from `input`. The record is of as many workers.
  Guarded(std::shared_ptr<const Policy> policy, const BuildInput& input, std::shared_ptr<GuardRecord> record);
  // One that could not be built for these backends, and why: weighted random decides.
  Guarded(std::string reason, const BuildInput& input, std::shared_ptr<GuardRecord> record);

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;
  bool uses_live() const noexcept override { return policy_ != nullptr && policy_->uses_live(); }
  void tick(std::uint64_t now_ns) const noexcept override;

  GuardReport report() const;

 private:
  using Lane = GuardRecord::Lane;
  bool is_right(const std::optional<std::uint32_t>& answer) const noexcept {
    return answer && *answer < takes_.size() && takes_[*answer] != 0;
  }
  std::optional<std::uint32_t> timed(const core::FlowKey& flow, core::PickContext& context,
                                     Lane& lane) const noexcept;
  // What becomes of an answer that is not right.
  std::optional<std::uint32_t> instead_of(std::optional<std::uint32_t> answer, const core::FlowKey& flow,
                                          core::PickContext& context, Lane& lane) const noexcept;

  const std::shared_ptr<const Policy> policy_;  // null: it could not be built
  const std::string reason_;
  const std::shared_ptr<GuardRecord> record_;
  std::vector<std::uint8_t> takes_;  // by backend: its weight is positive
  const WeightedRandom fallback_;
};

}  // namespace nfsteer::policy
