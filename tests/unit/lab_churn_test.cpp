// What changes while flows come: who takes them, who is lost, how many move.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab_support.hpp"

namespace nfsteer::lab {
namespace {

using testing::ElementsAre;

// 1000 flows a second for 10 s.
Scenario steady(std::uint32_t servers) {
  Scenario scenario = scenario_of(servers);
  scenario.workload.arrivals = Arrivals::constant;
  scenario.workload.flows = 10'000;
  scenario.workload.service_time = {Shape::constant, static_cast<double>(kMillisecond), 0};
  return scenario;
}

std::vector<std::uint64_t> decisions_of(const Report& report) {
  std::vector<std::uint64_t> all;
  for (const BackendResult& each : report.backends)
    all.push_back(each.decisions);
  return all;
}

TEST(LabChurn, ADrainedBackendTakesNothingNewUntilItIsActiveAgain) {
  Scenario scenario = steady(2);
  scenario.churn = {change(2 * kSecond, Action::drain, "10.0.0.1"),
                    change(8 * kSecond, Action::activate, "10.0.0.1")};
  const Report report = run(scenario, "round-robin");
  // 2 s and 2 s of half the flows; the rest is the other's.
  EXPECT_NEAR(static_cast<double>(report.backends[0].decisions), 2000, 3);
  EXPECT_EQ(report.decisions, 10'000U);
  EXPECT_EQ(figure(report, "builds"), 3);
  EXPECT_NEAR(report.backends[0].expected, 2000, 3);
  EXPECT_NEAR(report.backends[1].expected, 8000, 3);
  EXPECT_EQ(report.chi_square.degrees, 2U);  // two epochs of two backends, one of a single one
}

TEST(LabChurn, MaintenanceAndRemovalDoTheSameForNewFlows) {
  for (const Action action : {Action::maintenance, Action::remove}) {
    Scenario scenario = steady(2);
    scenario.churn = {change(5 * kSecond, action, "10.0.0.2")};
    const Report report = run(scenario, "round-robin");
    EXPECT_NEAR(static_cast<double>(report.backends[1].decisions), 2500, 3) << to_string(action);
    EXPECT_EQ(report.backends[1].answered, report.backends[1].decisions);  // open ones go on
  }
}

TEST(LabChurn, ABackendThatIsAddedTakesItsWeight) {
  Scenario scenario = steady(1);
  Change add = change(5 * kSecond, Action::add, "10.0.0.9");
  add.server = server("10.0.0.9", 3);
  scenario.churn = {add};
  const Report report = run(scenario, "weighted-round-robin");
  EXPECT_NEAR(static_cast<double>(report.backends[1].decisions), 3750, 4);
}

TEST(LabChurn, AWeightChangesTheSharesAtItsTime) {
  Scenario scenario = steady(2);
  Change weight = change(5 * kSecond, Action::weight, "10.0.0.1");
  weight.weight = 4;
  scenario.churn = {weight};
  const Report report = run(scenario, "weighted-round-robin");
  EXPECT_NEAR(static_cast<double>(report.backends[0].decisions), 2500 + 4000, 5);
  EXPECT_EQ(report.backends[0].backend.weight, 4U);
}

TEST(LabChurn, ABackupStepsInWhileAllOthersAreOut) {
  Scenario scenario = steady(2);
  scenario.servers[1].backend.backup = true;
  scenario.churn = {change(4 * kSecond, Action::drain, "10.0.0.1"),
                    change(6 * kSecond, Action::activate, "10.0.0.1")};
  const Report report = run(scenario);
  EXPECT_NEAR(static_cast<double>(report.backends[1].decisions), 2000, 2);
}

TEST(LabChurn, AFailedServerLosesFlowsUntilTheChecksNotice) {
  Scenario scenario = steady(2);
  scenario.detection = kSecond;
  scenario.timeout = 3 * kSecond;
  scenario.churn = {change(2 * kSecond, Action::fail, "10.0.0.1"),
                    change(6 * kSecond, Action::recover, "10.0.0.1")};
  const Report report = run(scenario, "round-robin");
  // Half of the flows of one second; from 3 s to 7 s it takes nothing.
  EXPECT_NEAR(static_cast<double>(report.backends[0].unanswered), 500, 3);
  EXPECT_NEAR(static_cast<double>(report.backends[0].decisions), 1000 + 500 + 1500, 5);
  EXPECT_EQ(report.backends[0].answered + report.backends[0].unanswered, report.backends[0].decisions);
  EXPECT_EQ(report.backends[1].unanswered, 0U);
  // Those that wait for the timeout are open: 500 of them at its end.
  EXPECT_NEAR(report.backends[0].peak_open, 500, 5);
  std::vector<std::string> changes;
  for (const ChangeResult& each : report.changes)
    changes.push_back(each.what);
  EXPECT_THAT(changes,
              ElementsAre("fail 10.0.0.1", "10.0.0.1 is down", "recover 10.0.0.1", "10.0.0.1 is up"));
  EXPECT_EQ(report.changes[1].at, 3 * kSecond);
  EXPECT_FALSE(report.changes[0].disruption);
  EXPECT_TRUE(report.changes[1].disruption);
}

TEST(LabChurn, AServerThatIsBackBeforeTheChecksNoticeWasNeverDown) {
  Scenario scenario = steady(2);
  scenario.detection = 3 * kSecond;
  scenario.churn = {change(2 * kSecond, Action::fail, "10.0.0.1"),
                    change(4 * kSecond, Action::recover, "10.0.0.1")};
  const Report report = run(scenario, "round-robin");
  EXPECT_EQ(report.changes.size(), 2U);
  EXPECT_EQ(figure(report, "builds"), 1);
  EXPECT_NEAR(static_cast<double>(report.backends[0].unanswered), 1000, 3);
}

TEST(LabChurn, FlowsInServiceAndInTheQueueAreLostWithTheServer) {
  Scenario scenario = steady(1);
  scenario.workload.flows = 10;
  scenario.workload.service_time = {Shape::constant, static_cast<double>(kSecond), 0};
  scenario.churn = {change(kSecond + kSecond / 2, Action::fail, "10.0.0.1"),
                    change(kSecond + kSecond / 2 + kMillisecond, Action::recover, "10.0.0.1")};
  const Report report = run(scenario);
  // One is served in the first second; one was half done, eight waited.
  EXPECT_EQ(report.backends[0].answered, 1U);
  EXPECT_EQ(report.backends[0].unanswered, 9U);
}

TEST(LabChurn, ASlowServerTakesLongerAndADistantOneIsFurtherAway) {
  Scenario scenario = steady(1);
  scenario.servers[0].concurrency = 0;
  Change slow = change(6 * kSecond, Action::slow, "10.0.0.1");
  slow.factor = 3;
  slow.rtt = Distribution{Shape::constant, 4.0 * kMillisecond, 0};
  scenario.churn = {slow};
  const Report report = run(scenario);
  EXPECT_NEAR(figure(report, "p50"), 1, 0.01);
  EXPECT_DOUBLE_EQ(figure(report, "max"), 3 + 2 * 4);
}

TEST(LabChurn, LeastConnectionsSeesWhoIsSlow) {
  Scenario scenario = scenario_of(4);
  scenario.workload.rate = 2000;
  scenario.workload.flows = 40'000;
  scenario.servers[3].speed = 0.25;
  const auto slow_share = [](const Report& report) {
    return static_cast<double>(report.backends[3].decisions) / static_cast<double>(report.decisions);
  };
  EXPECT_NEAR(slow_share(run(scenario)), 0.25, 0.02);
  EXPECT_LT(slow_share(run(scenario, "least-connections")), 0.15);
}

TEST(LabChurn, LeastConnectionsCountsWhatIsOpen) {
  Scenario scenario = steady(4);
  scenario.workload.flows = 400;
  scenario.workload.service_time = {Shape::constant, 10.0 * kSecond, 0};  // longer than all of it
  for (Server& each : scenario.servers)
    each.concurrency = 0;
  EXPECT_THAT(decisions_of(run(scenario, "least-connections")), ElementsAre(100, 100, 100, 100));
}

TEST(LabChurn, PeakEwmaSeesWhoIsFarAway) {
  Scenario scenario = scenario_of(4);
  scenario.workload.rate = 2000;
  scenario.workload.flows = 40'000;
  for (Server& each : scenario.servers)
    each.rtt = {Shape::constant, static_cast<double>(kMillisecond), 0};
  scenario.servers[3].rtt = {Shape::constant, 30.0 * kMillisecond, 0};
  const Report report = run(scenario, "peak-ewma");
  EXPECT_LT(report.backends[3].decisions * 10, run(scenario, "power-of-two-choices").backends[3].decisions)
      << "which sees only that more is open there";
}

// Mitzenmacher 2001, "The power of two choices in randomized load balancing": the tail falls doubly
// exponentially.
TEST(LabChurn, TwoChoicesBeatChanceInTheTailAtLoad90) {
  Scenario scenario = scenario_of(10);
  scenario.workload.rate = 9000;
  scenario.workload.flows = 300'000;
  const double by_chance = figure(run(scenario), "p99");
  const double by_two = figure(run(scenario, "power-of-two-choices"), "p99");
  EXPECT_LT(by_two * 2.5, by_chance);
}

Members members_of(const std::vector<std::pair<ServerNumber, std::uint32_t>>& weights) {
  Members members;
  for (const auto& [number, weight] : weights) {
    members.numbers.push_back(number);
    members.backends.emplace_back().weight = weight;
  }
  return members;
}

TEST(LabDisruption, TheOptimumIsTheSumOfWhatBackendsLose) {
  struct Case {
    std::vector<std::pair<ServerNumber, std::uint32_t>> before, after;
    double optimum;
  };
  const Case kCases[] = {
      {{{0, 1}, {1, 1}, {2, 1}, {3, 1}}, {{0, 1}, {1, 1}, {2, 1}}, 0.25},  // one of four goes
      {{{0, 1}, {1, 1}, {2, 1}}, {{0, 1}, {1, 1}, {2, 1}, {3, 1}}, 0.25},  // one comes
      {{{0, 1}, {1, 1}}, {{0, 1}, {1, 0}}, 0.5},                           // one is drained
      {{{0, 1}, {1, 1}}, {{0, 3}, {1, 1}}, 0.25},                          // 1/2 to 1/4
      {{{0, 2}, {1, 2}}, {{0, 1}, {1, 1}}, 0},                             // the same shares
      {{{0, 1}, {1, 1}}, {{1, 1}, {0, 1}}, 0},                             // another order
      {{{0, 1}}, {{1, 1}}, 1},                                             // another one
      {{{0, 1}, {1, 1}}, {}, 1},                                           // none is left
      {{}, {{0, 1}}, 0},                                                   // there was none
  };
  for (const auto& [before, after, optimum] : kCases)
    EXPECT_NEAR(least_moved(members_of(before), members_of(after)), optimum, 1e-12) << before.size();
}

TEST(LabDisruption, OfChanceIsThatOfTwoDrawsAndOfHashesNearTheOptimum) {
  Scenario scenario = steady(4);
  scenario.workload.flows = 100;
  scenario.churn = {change(0, Action::drain, "10.0.0.4")};
  const Report by_chance = run(scenario);
  // The second draw is another one of three in two of three cases.
  EXPECT_NEAR(figure(by_chance, "moved"), 0.25 + 0.75 * 2 / 3, 0.03);
  EXPECT_DOUBLE_EQ(figure(by_chance, "optimum"), 0.25);
  EXPECT_NEAR(figure(by_chance, "disruption"), 0.5, 0.03);
  const Report by_hash = run(scenario, "rendezvous");
  EXPECT_NEAR(figure(by_hash, "moved"), 0.25, 0.03);
  EXPECT_NEAR(figure(run(scenario, "maglev"), "disruption"), 0, 0.04);
}

TEST(LabDisruption, MeasuringItDisturbsNothing) {
  Scenario scenario = steady(3);
  scenario.churn = {change(2 * kSecond, Action::drain, "10.0.0.1"),
                    change(4 * kSecond, Action::activate, "10.0.0.1")};
  for (const char* policy : {"weighted-random", "round-robin", "power-of-two-choices"}) {
    const auto measured = decisions_of(run(scenario, policy));
    Scenario unmeasured = scenario;
    unmeasured.probes = 0;
    const Report report = run(unmeasured, policy);
    EXPECT_EQ(decisions_of(report), measured) << policy;
    EXPECT_FALSE(find_metric("moved")->value(report));
  }
}

}  // namespace
}  // namespace nfsteer::lab
