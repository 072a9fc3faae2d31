#include "policy/guarded.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

namespace nfsteer::policy {
namespace {

std::vector<std::uint8_t> takes(const BuildInput& input) {
  std::vector<std::uint8_t> result;
  result.reserve(input.backends.size());
  for (const core::Backend& each : input.backends)
    result.push_back(each.weight > 0 ? 1 : 0);
  return result;
}

// What its faults were, those of each kind: "40 indices out of range".
std::string kinds(const GuardReport& report) {
  std::string text;
  const auto add = [&](std::uint64_t count, std::string_view what) {
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
  };
  add(report.out_of_range, "of a backend that is not there");
  add(report.weight_zero, "of a backend of weight 0");
  add(report.failed, "failed");
  return text;
}

}  // namespace

GuardReport GuardRecord::report() const {
  GuardReport sum;
  for (const Lane& each : lanes_) {
    sum.picks += each.picks.value();
    sum.out_of_range += each.out_of_range.value();
    sum.weight_zero += each.weight_zero.value();
    sum.failed += each.failed.value();
    sum.overruns += each.overruns.value();
    sum.worst_ns = std::max(sum.worst_ns, each.worst_ns.load(std::memory_order_relaxed));
  }
  const Cause cause = cause_.load(std::memory_order_relaxed);
  sum.set_aside = cause != Cause::none;
  if (cause == Cause::overruns)
    sum.reason = fmt::format("{} decisions took longer than {} us, the worst {} us", sum.overruns,
                             limits_.budget_ns / 1000, sum.worst_ns / 1000);
  if (cause == Cause::faults)
    sum.reason = fmt::format("most of {} decisions were wrong; of all its picks: {}", faults_of_, kinds(sum));
  return sum;
}

void GuardRecord::judge() noexcept {
  std::uint64_t picks = 0;
  std::uint64_t faults = 0;
  for (const Lane& each : lanes_) {
    faults += each.out_of_range.value() + each.weight_zero.value() + each.failed.value();
    picks += each.picks.value();
  }
  const std::uint64_t new_picks = picks - judged_picks_;
  if (new_picks < kJudgedPicksMin || is_set_aside()) return;
  if ((faults - judged_faults_) * 2 > new_picks) {
    faults_of_ = new_picks;
    cause_.store(Cause::faults, std::memory_order_relaxed);
  }
  judged_picks_ = picks;
  judged_faults_ = faults;
}

// Two workers that begin a period at the same time may lose an overrun; the next ones count.
void GuardRecord::overrun(Lane& lane, std::uint64_t took_ns, std::uint64_t now_ns) noexcept {
  lane.overruns.add();
  if (took_ns > lane.worst_ns.load(std::memory_order_relaxed))
    lane.worst_ns.store(took_ns, std::memory_order_relaxed);
  lane.timed_mask = 0;
  lane.timed_until = lane.picks.value() + kTimedAfterOverrun;
  if (now_ns - period_began_ns_.load(std::memory_order_relaxed) > kOverrunPeriod_ns) {
    period_began_ns_.store(now_ns, std::memory_order_relaxed);
    overruns_in_period_.store(0, std::memory_order_relaxed);
  }
  if (overruns_in_period_.fetch_add(1, std::memory_order_relaxed) + 1 < kOverrunsMax) return;
  Cause none = Cause::none;
  cause_.compare_exchange_strong(none, Cause::overruns, std::memory_order_relaxed);
}

Guarded::Guarded(std::shared_ptr<const Policy> policy, const BuildInput& input,
                 std::shared_ptr<GuardRecord> record)
    : policy_(std::move(policy)), record_(std::move(record)), takes_(takes(input)), fallback_(input) {
  assert(policy_ != nullptr && record_->lanes_.size() >= input.workers);
}

Guarded::Guarded(std::string reason, const BuildInput& input, std::shared_ptr<GuardRecord> record)
    : reason_(std::move(reason)), record_(std::move(record)), takes_(takes(input)), fallback_(input) {}

std::optional<std::uint32_t> Guarded::pick(const core::FlowKey& flow,
                                           core::PickContext& context) const noexcept {
  if (policy_ == nullptr || record_->is_set_aside()) [[unlikely]]
    return fallback_.pick(flow, context);
  assert(context.worker < record_->lanes_.size());
  Lane& lane = record_->lanes_[context.worker];
  const std::uint64_t earlier = lane.picks.value();
  lane.picks.add();
  if ((earlier & lane.timed_mask) == 0) [[unlikely]]
    return timed(flow, context, lane);
  const auto answer = policy_->pick(flow, context);
  if (is_right(answer)) [[likely]]
    return answer;
  return instead_of(answer, flow, context, lane);
}

std::optional<std::uint32_t> Guarded::timed(const core::FlowKey& flow, core::PickContext& context,
                                            Lane& lane) const noexcept {
  const GuardLimits& limits = record_->limits_;
  const std::uint64_t begin = limits.clock_ns == nullptr ? 0 : limits.clock_ns();
  const auto answer = policy_->pick(flow, context);
  const std::uint64_t end = limits.clock_ns == nullptr ? 0 : limits.clock_ns();
  if (end - begin > limits.budget_ns) {
    record_->overrun(lane, end - begin, end);
  } else if (lane.picks.value() >= lane.timed_until) {
    lane.timed_mask = kTimedEvery - 1;
  }
  return is_right(answer) ? answer : instead_of(answer, flow, context, lane);
}

std::optional<std::uint32_t> Guarded::instead_of(std::optional<std::uint32_t> answer,
                                                 const core::FlowKey& flow, core::PickContext& context,
                                                 Lane& lane) const noexcept {
  if (!answer) return answer;  // the policy's to say
  if (*answer < takes_.size()) {
    lane.weight_zero.add();
  } else if (*answer == kFailedPick) {
    lane.failed.add();
  } else {
    lane.out_of_range.add();
  }
  return fallback_.pick(flow, context);
}

void Guarded::tick(std::uint64_t now_ns) const noexcept {
  record_->judge();
  if (policy_ != nullptr && !record_->is_set_aside()) policy_->tick(now_ns);
}

GuardReport Guarded::report() const {
  GuardReport report = record_->report();
  if (reason_.empty()) return report;
  report.set_aside = true;
  report.reason = reason_;
  return report;
}

}  // namespace nfsteer::policy
