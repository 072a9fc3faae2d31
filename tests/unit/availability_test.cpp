// Which backends take new connections, from what is configured and what is known of them.
#include "core/availability.hpp"

#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/random.hpp"

namespace nfsteer::core {
namespace {

using testing::ElementsAre;

Service service(std::vector<std::uint32_t> weights) {
  Service made;
  for (const std::uint32_t weight : weights) {
    Backend backend;
    backend.weight = weight;
    made.backends.push_back(backend);
  }
  return made;
}

std::vector<std::uint32_t> weights_of(const Availability& availability) {
  std::vector<std::uint32_t> weights;
  for (const Backend& each : availability.backends)
    weights.push_back(each.weight);
  return weights;
}

std::vector<std::string> states_of(const Availability& availability) {
  std::vector<std::string> names;
  for (const BackendState each : availability.states)
    names.emplace_back(to_string(each));
  return names;
}

TEST(Availability, WithoutNewsTheWeightsAreThoseConfigured) {
  const auto now = availability(service({1, 0, 65535}), std::vector<Condition>(3));
  EXPECT_THAT(weights_of(now), ElementsAre(1, 0, 65535));
  EXPECT_THAT(states_of(now), ElementsAre("active", "active", "active"));
}

TEST(Availability, WhatIsDownDrainingNewOrInMaintenanceTakesNothing) {
  Service made = service({1, 2, 3, 4, 5});
  made.backends[1].state = AdminState::drain;
  made.backends[2].state = AdminState::maintenance;
  const auto now = availability(
      made, std::vector<Condition>{{}, {}, {Health::down, 1}, {Health::down, 1}, {Health::unknown, 1}});
  EXPECT_THAT(weights_of(now), ElementsAre(1, 0, 0, 0, 0));
  EXPECT_THAT(states_of(now), ElementsAre("active", "draining", "maintenance", "down", "starting"));
  EXPECT_FALSE(now.panic);
}

TEST(Availability, BackupsAreUsedWhileNobodyElseCanBe) {
  Service made = service({1, 2, 3});
  made.backends[2].backup = true;
  const auto before = availability(made, std::vector<Condition>(3));
  EXPECT_THAT(weights_of(before), ElementsAre(1, 2, 0));
  EXPECT_THAT(states_of(before), ElementsAre("active", "active", "standby"));
  EXPECT_FALSE(before.on_backup);
  const auto after =
      availability(made, std::vector<Condition>{{Health::down, 1}, {Health::down, 1}, {Health::up, 1}});
  EXPECT_THAT(weights_of(after), ElementsAre(0, 0, 3));
  EXPECT_THAT(states_of(after), ElementsAre("down", "down", "active"));
  EXPECT_TRUE(after.on_backup);
  made.backends[0].weight = made.backends[1].weight = 0;
  EXPECT_THAT(weights_of(availability(made, std::vector<Condition>(3))), ElementsAre(0, 0, 3))
      << "weight 0 takes nothing, healthy or not";
}

TEST(Availability, InPanicHealthDoesNotCountButTheOperatorDoes) {
  Service made = service({1, 1, 1, 1, 0});
  made.health.emplace().panic_threshold = 50;
  made.backends[3].state = AdminState::drain;
  std::vector<Condition> conditions(5);
  conditions[0].health = Health::down;
  const auto two_of_three = availability(made, conditions);
  EXPECT_THAT(weights_of(two_of_three), ElementsAre(0, 1, 1, 0, 0));
  EXPECT_FALSE(two_of_three.panic);
  conditions[1].health = Health::down;
  const auto one_of_three = availability(made, conditions);
  EXPECT_TRUE(one_of_three.panic);
  EXPECT_THAT(weights_of(one_of_three), ElementsAre(1, 1, 1, 0, 0));
  EXPECT_THAT(states_of(one_of_three), ElementsAre("down", "down", "active", "draining", "active"));
}

TEST(Availability, AtTheThresholdThereIsNoPanicYet) {
  Service made = service({1, 1});
  made.health.emplace().panic_threshold = 50;
  EXPECT_FALSE(availability(made, std::vector<Condition>{{Health::up, 1}, {Health::down, 1}}).panic);
  made.health->panic_threshold = 51;
  EXPECT_TRUE(availability(made, std::vector<Condition>{{Health::up, 1}, {Health::down, 1}}).panic);
  made.health->panic_threshold = 0;
  EXPECT_FALSE(availability(made, std::vector<Condition>{{Health::down, 1}, {Health::down, 1}}).panic);
}

TEST(Availability, AFillingBackendTakesItsPart) {
  const auto now = availability(service({3, 1}), std::vector<Condition>{{}, {Health::up, 0.25}});
  EXPECT_THAT(weights_of(now), ElementsAre(300, 25));
  EXPECT_THAT(states_of(now), ElementsAre("active", "filling"));
}

// Whatever is known, the sum fits what rules and policies can carry, nobody who may takes nothing, and nobody
// who may not takes anything.
TEST(Availability, HoldsItsBoundsForAnyInput) {
  const std::uint64_t seed = 20261124;
  Random random(seed);
  const auto below = [&](std::uint64_t end) { return random.next() % end; };
  for (int round = 0; round < 2000; ++round) {
    Service made = service(std::vector<std::uint32_t>(below(40)));
    if (below(2) == 0) made.health.emplace().panic_threshold = static_cast<std::uint8_t>(below(101));
    std::vector<Condition> conditions;
    for (Backend& each : made.backends) {
      each.weight = static_cast<std::uint32_t>(below(3) == 0 ? below(3) : below(kWeightMax + 1));
      each.state = static_cast<AdminState>(below(3));
      each.backup = below(4) == 0;
      conditions.push_back({static_cast<Health>(below(3)), static_cast<double>(1 + below(100)) / 100});
    }
    const auto now = availability(made, conditions);
    std::uint64_t sum = 0;
    bool has_primary = false;
    bool has_backup = false;
    for (std::size_t i = 0; i < made.backends.size(); ++i) {
      const Backend& each = made.backends[i];
      const bool used = now.backends[i].weight > 0;
      sum += now.backends[i].weight;
      (each.backup ? has_backup : has_primary) |= used;
      const bool may = each.weight > 0 && each.state == AdminState::active &&
                       (now.panic || conditions[i].health == Health::up);
      EXPECT_FALSE(used && !may) << "seed " << seed << " round " << round << " backend " << i;
      EXPECT_FALSE(may && !used && !each.backup) << "seed " << seed << " round " << round << " backend " << i;
    }
    EXPECT_LT(sum, std::uint64_t{1} << 32);
    EXPECT_FALSE(has_primary && has_backup);
    EXPECT_EQ(now.on_backup, has_backup);
  }
}

TEST(Availability, TheLargestServiceStillFills) {
  const Service made = service(std::vector<std::uint32_t>(16384, kWeightMax));
  std::vector<Condition> conditions(16384);
  conditions[0].fill = 0.5;
  const auto now = availability(made, conditions);
  std::uint64_t sum = 0;
  for (const Backend& each : now.backends)
    sum += each.weight;
  EXPECT_LT(sum, std::uint64_t{1} << 32);
  EXPECT_NEAR(now.backends[0].weight, now.backends[1].weight / 2.0, 1);
}

}  // namespace
}  // namespace nfsteer::core
