#include "control/rule_watch.hpp"

#include <algorithm>
#include <utility>

namespace nfsteer::control {
namespace {

constexpr int kPausePerCost = 20;
constexpr int kLongPausePerCost = 1000;

}  // namespace

void RuleWatch::adopt(rules::Outlines outlines, Clock::time_point now) {
  adopted_ = std::move(outlines);
  last_seen_ = adopted_;
  differs_since_.reset();
  retry_ = {};
  all_again_ = std::max(all_again_, now + kCompareEvery);
}

bool RuleWatch::due(const rules::Outlines& seen, Clock::time_point now) {
  const bool moves = seen != last_seen_;
  last_seen_ = seen;
  if (seen == adopted_) {
    differs_since_.reset();
    return now >= not_before_ && now >= all_again_;
  }
  if (!differs_since_) differs_since_ = now;
  if (moves && now - *differs_since_ < kUnquietMax) return false;
  return now >= not_before_;
}

void RuleWatch::compared(Clock::time_point began, Clock::time_point now) {
  const Clock::duration cost = now - began;
  not_before_ = std::max(not_before_, now + kPausePerCost * cost);
  all_again_ = now + std::max<Clock::duration>(kCompareEvery, kLongPausePerCost * cost);
}

RuleWatch::Clock::duration RuleWatch::repaired(Clock::time_point now) {
  const bool fight = last_repair_ && now - *last_repair_ < pause_ + kSoon;
  pause_ = !fight ? Clock::duration{} : std::clamp<Clock::duration>(2 * pause_, kPauseMin, kPauseMax);
  last_repair_ = now;
  not_before_ = std::max(not_before_, now + pause_);
  return pause_;
}

void RuleWatch::failed(Clock::time_point now) {
  retry_ = std::clamp<Clock::duration>(2 * retry_, kPoll, kRetryMax);
  not_before_ = std::max(not_before_, now + retry_);
}

}  // namespace nfsteer::control
