// The guard under custom policies, in virtual time.
#include <memory>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/guarded.hpp"

namespace nfsteer::policy {
namespace {

using testing::HasSubstr;

// Moved by policies that take time.
std::uint64_t now_ns = 0;
std::uint64_t virtual_clock() noexcept {
  return now_ns;
}

// Answers what it is told to, and takes as long as it is told.
struct Script final : Policy {
  std::optional<std::uint32_t> pick(const core::FlowKey&, core::PickContext&) const noexcept override {
    ++asked;
    if (takes_ns != 0) now_ns += takes_ns;
    return answer;
  }
  bool uses_live() const noexcept override { return true; }
  void tick(std::uint64_t) const noexcept override { ++ticks; }

  std::optional<std::uint32_t> answer;
  std::uint64_t takes_ns = 0;
  mutable std::uint64_t asked = 0;
  mutable int ticks = 0;
};

class GuardedTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kBudget_ns = 1000;

  GuardedTest() {
    now_ns = 0;
    for (const std::uint32_t weight : {1U, 0U, 3U})
      backends_.push_back({core::IpAddress(), 0, weight});
    rebuild();
  }
  void rebuild() { guarded_ = std::make_unique<Guarded>(script_, BuildInput{backends_, {}, 2}, record_); }

  std::optional<std::uint32_t> pick(std::uint32_t worker = 0) {
    core::PickContext context{random_, 0, worker};
    return guarded_->pick({}, context);
  }
  // How often each backend is picked.
  std::vector<int> picks(int count) {
    std::vector<int> result(backends_.size());
    for (int each = 0; each < count; ++each)
      ++result[pick().value()];
    return result;
  }
  // Until a decision is one that is timed.
  void use_up_untimed() {
    script_->takes_ns = 0;
    while (guarded_->report().picks % kTimedEvery != 0)
      pick();
  }

  std::vector<core::Backend> backends_;
  std::shared_ptr<Script> script_ = std::make_shared<Script>();
  std::shared_ptr<GuardRecord> record_ =
      std::make_shared<GuardRecord>(2, GuardLimits{kBudget_ns, virtual_clock});
  std::unique_ptr<Guarded> guarded_;
  core::Random random_{1};
};

TEST_F(GuardedTest, RightAnswersPassUnchanged) {
  for (const std::optional<std::uint32_t> answer :
       {std::optional(0U), std::optional(2U), std::optional<std::uint32_t>()}) {
    script_->answer = answer;
    for (int each = 0; each < 200; ++each)
      ASSERT_EQ(pick(), answer);
  }
  const GuardReport report = guarded_->report();
  EXPECT_EQ(report.picks, 600U);
  EXPECT_EQ(report.faults(), 0U);
  EXPECT_FALSE(report.set_aside);
  EXPECT_EQ(report.reason, "");
}

TEST_F(GuardedTest, WrongAnswersAreCountedByKindAndReplacedByWeightedRandom) {
  for (const auto& [answer, count] :
       {std::pair{3U, &GuardReport::out_of_range}, std::pair{UINT32_MAX, &GuardReport::out_of_range},
        std::pair{1U, &GuardReport::weight_zero}, std::pair{kFailedPick, &GuardReport::failed}}) {
    script_->answer = answer;
    const std::uint64_t before = guarded_->report().*count;
    const auto picked = picks(4000);
    EXPECT_EQ(guarded_->report().*count, before + 4000) << answer;
    EXPECT_EQ(picked[1], 0) << answer;
    EXPECT_NEAR(picked[0], 1000, 150) << answer;  // 5.5 standard deviations
  }
}

TEST_F(GuardedTest, FaultsInMostDecisionsSetItAside) {
  script_->answer = 7;
  picks(20);
  script_->answer = 0;
  picks(20);
  guarded_->tick(0);
  EXPECT_FALSE(guarded_->report().set_aside) << "half of them are not most";
  script_->answer = 7;
  picks(33);
  guarded_->tick(0);
  const GuardReport report = guarded_->report();
  EXPECT_TRUE(report.set_aside);
  EXPECT_THAT(report.reason, HasSubstr("most of 33 decisions"));
  EXPECT_THAT(report.reason, HasSubstr("53 of a backend that is not there"));
  const std::uint64_t asked = script_->asked;
  picks(100);
  EXPECT_EQ(script_->asked, asked) << "weighted random decides from then on";
  EXPECT_EQ(guarded_->report().picks, report.picks);
}

TEST_F(GuardedTest, AFewFaultsDoNot) {
  script_->answer = 7;
  picks(static_cast<int>(kJudgedPicksMin) - 1);
  guarded_->tick(0);
  EXPECT_FALSE(guarded_->report().set_aside) << "too few decisions to judge by";
  script_->answer = 0;
  picks(1000);
  guarded_->tick(0);
  EXPECT_FALSE(guarded_->report().set_aside);
}

TEST_F(GuardedTest, TooSlowTooOftenSetsItAside) {
  script_->answer = 0;
  script_->takes_ns = kBudget_ns + 1;
  for (std::uint32_t overrun = 0; overrun < kOverrunsMax; ++overrun) {
    EXPECT_FALSE(guarded_->report().set_aside);
    EXPECT_EQ(pick(), 0U) << "a late answer is an answer";
  }
  const GuardReport report = guarded_->report();
  EXPECT_TRUE(report.set_aside);
  EXPECT_EQ(report.overruns, kOverrunsMax);
  EXPECT_EQ(report.worst_ns, kBudget_ns + 1);
  EXPECT_THAT(report.reason, HasSubstr("took longer than 1 us"));
  const auto picked = picks(4000);
  EXPECT_NEAR(picked[2], 3000, 150);
  EXPECT_EQ(script_->asked, kOverrunsMax);
}

TEST_F(GuardedTest, TheBudgetItselfIsWithinIt) {
  script_->answer = 0;
  script_->takes_ns = kBudget_ns;
  picks(1000);
  EXPECT_EQ(guarded_->report().overruns, 0U);
}

TEST_F(GuardedTest, OverrunsOfAllWorkersCountTogether) {
  script_->answer = 0;
  script_->takes_ns = 2 * kBudget_ns;
  pick(0);
  pick(1);
  EXPECT_FALSE(guarded_->report().set_aside);
  pick(1);
  EXPECT_TRUE(guarded_->report().set_aside);
}

TEST_F(GuardedTest, OverrunsThatAreFarBetweenAreForgiven) {
  script_->answer = 0;
  for (int each = 0; each < 20; ++each) {
    use_up_untimed();
    script_->takes_ns = 2 * kBudget_ns;
    pick();
    now_ns += kOverrunPeriod_ns + 1;
  }
  EXPECT_EQ(guarded_->report().overruns, 20U);
  EXPECT_FALSE(guarded_->report().set_aside);
}

TEST_F(GuardedTest, OneDecisionOfManyIsTimedUntilOneIsTooSlow) {
  script_->answer = 0;
  pick();
  script_->takes_ns = 2 * kBudget_ns;
  for (std::uint64_t each = 1; each < kTimedEvery; ++each)
    pick();
  EXPECT_EQ(guarded_->report().overruns, 0U) << "unseen";
  pick();
  EXPECT_EQ(guarded_->report().overruns, 1U) << "seen";
  script_->takes_ns = 0;
  for (std::uint64_t each = 0; each < kTimedAfterOverrun / 2; ++each)
    pick();
  script_->takes_ns = 2 * kBudget_ns;
  pick();
  EXPECT_EQ(guarded_->report().overruns, 2U) << "every decision is timed after the first";
}

TEST_F(GuardedTest, TimingEndsWithCalm) {
  script_->answer = 0;
  script_->takes_ns = 2 * kBudget_ns;
  pick();
  script_->takes_ns = 0;
  for (std::uint64_t each = 0; each < kTimedAfterOverrun + kTimedEvery; ++each)
    pick();
  use_up_untimed();
  pick();
  script_->takes_ns = 2 * kBudget_ns;
  pick();
  EXPECT_EQ(guarded_->report().overruns, 1U);
}

TEST_F(GuardedTest, WithoutAClockNothingIsTimed) {
  record_ = std::make_shared<GuardRecord>(2, GuardLimits{kBudget_ns, nullptr});
  rebuild();
  script_->answer = 2;
  script_->takes_ns = 100 * kBudget_ns;
  EXPECT_EQ(picks(1000)[2], 1000);
  EXPECT_EQ(guarded_->report().overruns, 0U);
}

TEST_F(GuardedTest, WhatIsSetAsideStaysSoWhenBackendsChange) {
  script_->answer = 9;
  picks(100);
  guarded_->tick(0);
  ASSERT_TRUE(guarded_->report().set_aside);
  backends_.pop_back();
  rebuild();
  EXPECT_TRUE(guarded_->report().set_aside);
  EXPECT_EQ(guarded_->report().out_of_range, 100U);
  EXPECT_EQ(pick(), 0U);
}

TEST_F(GuardedTest, OneThatCannotBeBuiltIsWeightedRandom) {
  guarded_ = std::make_unique<Guarded>("it wants a prime number", BuildInput{backends_, {}, 2}, record_);
  EXPECT_NEAR(picks(4000)[0], 1000, 150);
  EXPECT_TRUE(guarded_->report().set_aside);
  EXPECT_EQ(guarded_->report().reason, "it wants a prime number");
  EXPECT_FALSE(guarded_->uses_live());
  guarded_->tick(0);
  rebuild();
  EXPECT_FALSE(guarded_->report().set_aside) << "the next backends may suit it";
}

TEST_F(GuardedTest, NoBackendOfPositiveWeightIsNoBackend) {
  for (core::Backend& each : backends_)
    each.weight = 0;
  rebuild();
  script_->answer = 0;
  EXPECT_EQ(pick(), std::nullopt);
  EXPECT_EQ(guarded_->report().weight_zero, 1U);
}

TEST_F(GuardedTest, PassesOnWhatThePolicyIs) {
  EXPECT_TRUE(guarded_->uses_live());
  guarded_->tick(5);
  EXPECT_EQ(script_->ticks, 1);
}

// Under TSan: workers, and the control thread beside them.
TEST(GuardedThreads, WorkersDecideWhileTheControlThreadLooks) {
  struct Wrong final : Policy {
    std::optional<std::uint32_t> pick(const core::FlowKey&,
                                      core::PickContext& context) const noexcept override {
      return static_cast<std::uint32_t>(context.random.next() % 5);
    }
  };
  constexpr std::uint32_t kWorkers = 4;
  constexpr int kPicks = 50'000;
  const std::vector<core::Backend> backends(4);
  const auto record = std::make_shared<GuardRecord>(kWorkers, GuardLimits{});
  const Guarded guarded(std::make_shared<Wrong>(), {backends, {}, kWorkers}, record);
  std::vector<std::thread> threads;
  for (std::uint32_t worker = 0; worker < kWorkers; ++worker)
    threads.emplace_back([&guarded, worker] {
      core::Random random(1, worker);
      core::PickContext context{random, 0, worker};
      for (int each = 0; each < kPicks; ++each)
        ASSERT_LT(guarded.pick({}, context).value(), 4U);
    });
  for (int each = 0; each < 100; ++each) {
    guarded.tick(0);
    EXPECT_LE(guarded.report().faults(), guarded.report().picks);
  }
  for (std::thread& each : threads)
    each.join();
  const GuardReport report = guarded.report();
  EXPECT_EQ(report.picks, std::uint64_t{kWorkers} * kPicks);
  EXPECT_NEAR(static_cast<double>(report.out_of_range), kWorkers * kPicks / 5.0, 1000);
  EXPECT_FALSE(report.set_aside);
}

}  // namespace
}  // namespace nfsteer::policy
