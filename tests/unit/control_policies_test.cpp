// Which policy a service has, over changes of its configuration, its backends and its policy's file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/policies.hpp"
#include "plugin_support.hpp"

namespace nfsteer::control {
namespace {

using plugin::backends_of;
using plugin::fixture;
using testing::HasSubstr;

class PoliciesTest : public plugin::PluginTest {
 protected:
  PoliciesTest() { service_.backends = backends_of({1, 1, 1}); }

  Policies::Policy policy() {
    auto built = policies_.policy_of(service_, {});
    EXPECT_TRUE(built.has_value()) << built.error().line();
    return built.value_or(nullptr);
  }
  std::string refusal() {
    const auto built = policies_.policy_of(service_, {});
    return built ? "" : built.error().line();
  }
  std::uint32_t picked(const Policies::Policy& policy) { return pick(*policy).value(); }
  policy::GuardReport report(const Policies::Policy& policy) {
    return dynamic_cast<const policy::Guarded&>(*policy).report();
  }
  // Has traffic and a second pass until the policy has been judged.
  void let_it_be_judged(const Policies::Policy& policy) {
    for (int each = 0; each < 100; ++each)
      EXPECT_LT(picked(policy), service_.backends.size());
    policy->tick(0);
  }

  core::Service service_{
      .name = "web", .vip = {}, .policy = {}, .shadow = {}, .backends = {}, .affinity = {}, .health = {}};
  Policies policies_{1, plugin::Loader(with_trial()), {}};
};

TEST_F(PoliciesTest, ServicesThatHaveNotChangedKeepTheirPolicy) {
  const auto built = policy();
  EXPECT_EQ(policy(), built);
  policies_.look_again();
  EXPECT_EQ(policy(), built);
  service_.backends[0].weight = 2;
  EXPECT_NE(policy(), built);
}

TEST_F(PoliciesTest, AFileIsReadAgainOnlyWhenAsked) {
  service_.policy.name = install("first", "mine.so");
  const auto first = policy();
  EXPECT_EQ(picked(first), 0U);
  install("last", "mine.so");
  EXPECT_EQ(policy(), first);
  service_.backends[0].weight = 2;
  EXPECT_EQ(picked(policy()), 0U) << "a backend that has changed is no reason to load what lies there now";
  policies_.look_again();
  EXPECT_EQ(picked(policy()), 2U);
}

TEST_F(PoliciesTest, AFileThatHasNotChangedKeepsItsPolicy) {
  service_.policy.name = install("first", "mine.so");
  const auto built = policy();
  policies_.look_again();
  EXPECT_EQ(policy(), built);
}

TEST_F(PoliciesTest, AWorseFileIsRefusedAndTheOldOneStays) {
  service_.policy.name = install("first", "mine.so");
  policy();
  install("crash_in_create", "mine.so");
  policies_.look_again();
  EXPECT_THAT(refusal(), HasSubstr("service web: policy " + service_.policy.name));
}

TEST_F(PoliciesTest, WhatIsSetAsideStaysSoUntilItIsSetAgain) {
  service_.policy = {fixture("out_of_range"), {{"spare", "198"}}};
  const auto built = policy();
  let_it_be_judged(built);
  ASSERT_TRUE(report(built).set_aside);
  service_.backends[0].weight = 7;
  const auto rebuilt = policy();
  EXPECT_NE(rebuilt, built);
  EXPECT_TRUE(report(rebuilt).set_aside);
  EXPECT_EQ(report(rebuilt).out_of_range, 100U);
  policies_.look_again();
  const auto again = policy();
  EXPECT_FALSE(report(again).set_aside);
  EXPECT_EQ(report(again).picks, 0U);
}

TEST_F(PoliciesTest, OneThatCannotBeBuiltForNewBackendsGivesWay) {
  service_.policy.name = fixture("crash_when_empty");
  EXPECT_EQ(picked(policy()), 0U);
  service_.backends = backends_of({0, 0, 0});
  const auto none = policy();
  EXPECT_EQ(pick(*none), std::nullopt);
  EXPECT_TRUE(report(none).set_aside);
  EXPECT_THAT(report(none).reason, HasSubstr("crashed in create(): SIGABRT"));
  service_.backends = backends_of({0, 0, 3});
  EXPECT_EQ(picked(policy()), 2U);
  EXPECT_FALSE(report(policy()).set_aside);
}

TEST_F(PoliciesTest, ANewPolicyThatCannotBeBuiltIsAnError) {
  service_.policy.name = fixture("refuses");
  EXPECT_THAT(refusal(),
              HasSubstr("service web: policy " + fixture("refuses") + ": 3 backends are not enough"));
  service_.policy.name = path("none.so");
  EXPECT_THAT(refusal(), HasSubstr("No such file"));
}

}  // namespace
}  // namespace nfsteer::control
