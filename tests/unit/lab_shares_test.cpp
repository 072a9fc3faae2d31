// Shares, and what a run owes to its seed.
#include <cmath>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/policy_spec.hpp"
#include "lab/workload.hpp"
#include "lab_support.hpp"

namespace nfsteer::lab {
namespace {

Scenario weighted() {
  Scenario scenario;
  scenario.servers = {server("10.0.0.1", 1), server("10.0.0.2", 2), server("10.0.0.3", 3),
                      server("10.0.0.4", 0)};
  scenario.decisions_only = true;
  scenario.workload.flows = 600'000;
  return scenario;
}

TEST(LabShares, WeightedRandomGivesEachItsWeight) {
  const Report report = run(weighted());
  ASSERT_EQ(report.backends.size(), 4U);
  for (std::size_t i = 0; i < 3; ++i) {
    const double expected = 100'000.0 * static_cast<double>(i + 1);
    EXPECT_DOUBLE_EQ(report.backends[i].expected, expected);
    // Six standard deviations of a binomial count.
    EXPECT_NEAR(static_cast<double>(report.backends[i].decisions), expected,
                6 * std::sqrt(expected * (1 - expected / 600'000)));
  }
  EXPECT_EQ(report.backends[3].decisions, 0U);
  EXPECT_EQ(report.chi_square.degrees, 2U);
  EXPECT_GT(figure(report, "p_value"), 1e-6);
  EXPECT_NEAR(figure(report, "imbalance"), 1, 0.02);
  EXPECT_LT(figure(report, "cv"), 0.02);
}

TEST(LabShares, RoundRobinIsExactAndItsFiguresSaySo) {
  Scenario scenario = scenario_of(4);
  scenario.decisions_only = true;
  scenario.workload.flows = 4000;
  const Report report = run(scenario, "round-robin");
  EXPECT_EQ(figure(report, "imbalance"), 1);
  EXPECT_EQ(figure(report, "cv"), 0);
  EXPECT_EQ(figure(report, "chi_square"), 0);
  EXPECT_EQ(figure(report, "p_value"), 1);
}

// 4 flows over weights 1, 1 by hand: 3 and 1 of 2 and 2.
TEST(LabShares, FiguresOfAnUnevenSplitAreThoseByHand) {
  Report report;
  report.decisions = 4;
  for (const std::uint64_t decisions : {3U, 1U})
    report.backends.emplace_back().decisions = decisions;
  for (BackendResult& each : report.backends) {
    each.expected = 2;
    report.chi_square.add(static_cast<double>(each.decisions), 2);
  }
  report.chi_square.degrees = 1;
  EXPECT_DOUBLE_EQ(figure(report, "imbalance"), 1.5);
  EXPECT_DOUBLE_EQ(figure(report, "cv"), 0.5);
  EXPECT_DOUBLE_EQ(figure(report, "chi_square"), 1);
  EXPECT_NEAR(figure(report, "p_value"), 0.3173, 1e-4);
}

TEST(LabShares, EveryFlowStaysOpenWhereOnlyDecisionsCount) {
  Scenario scenario = weighted();
  scenario.workload.flows = 60'000;
  const Report report = run(scenario, "weighted-least-connections");
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(static_cast<double>(report.backends[i].peak_open), 10'000.0 * static_cast<double>(i + 1), 3);
  EXPECT_FALSE(find_metric("p99")->value(report));
}

std::string fingerprint(const Report& report) {
  std::string text;
  for (const Metric& metric : metrics())
    text += std::string(metric.name) + " " + std::to_string(metric.value(report).value_or(-1)) + "\n";
  for (const BackendResult& each : report.backends)
    text += std::to_string(each.decisions) + " " + std::to_string(each.peak_open) + "\n";
  return text;
}

TEST(LabShares, TheSameSeedGivesTheSameRunAndAnotherDoesNot) {
  Scenario scenario = scenario_of(5);
  scenario.workload.rate = 4000;
  scenario.workload.flows = 20'000;
  scenario.churn = {change(kSecond, Action::drain, "10.0.0.2"),
                    change(2 * kSecond, Action::fail, "10.0.0.3")};
  for (const char* policy : {"weighted-random", "power-of-two-choices", "peak-ewma", "maglev"}) {
    const std::string once = fingerprint(run(scenario, policy));
    EXPECT_EQ(fingerprint(run(scenario, policy)), once) << policy;
    Scenario other = scenario;
    other.seed = 2;
    EXPECT_NE(fingerprint(run(other, policy)), once) << policy;
  }
}

TEST(LabShares, EveryPolicyMeetsTheSameFlows) {
  Scenario scenario = scenario_of(3);
  scenario.workload.size = {Shape::exponential, 1000, 0};
  scenario.workload.flows = 5000;
  const auto bytes = [](const Report& report) {
    std::uint64_t sum = 0;
    for (const BackendResult& each : report.backends)
      sum += each.bytes;
    return sum;
  };
  EXPECT_EQ(bytes(run(scenario)), bytes(run(scenario, "maglev")));
}

TEST(LabShares, RecordedFlowsKeepTheirTimesUnlessTheyAreToBeDrawn) {
  Scenario scenario = scenario_of(1);
  scenario.servers[0].concurrency = 0;
  Flow flow;
  flow.key.protocol = 17;
  flow.work = 5 * kMillisecond;
  auto flows = std::make_shared<std::vector<Flow>>(3, flow);
  (*flows)[2].start = kSecond;
  scenario.recorded = flows;
  scenario.recorded_work = true;
  scenario.protocol = core::Protocol::udp;
  EXPECT_EQ(figure(run(scenario), "max"), 5);
  scenario.recorded_work = false;
  scenario.workload.service_time = {Shape::constant, 7.0 * kMillisecond, 0};
  EXPECT_EQ(figure(run(scenario), "max"), 7);
  scenario.workload.duration = kSecond;
  EXPECT_EQ(run(scenario).decisions, 2U);
  scenario.workload.flows = 1;
  EXPECT_EQ(run(scenario).decisions, 1U);
}

TEST(LabShares, PopularClientsComeOften) {
  Scenario scenario = scenario_of(1);
  scenario.workload.clients = 1000;
  scenario.workload.skew = 1;
  scenario.workload.flows = 20'000;
  FlowSource source(scenario);
  Flow flow;
  int first = 0;
  while (source.next(flow))
    first += flow.key.source_address().to_string() == "100.64.0.0" ? 1 : 0;
  EXPECT_NEAR(first / 20'000.0, 1 / 7.485, 0.01);  // 1 / H(1000)
}

// A policy whose answers nobody should trust.
struct OutOfRange final : policy::Policy {
  std::optional<std::uint32_t> pick(const core::FlowKey& /*flow*/,
                                    core::PickContext& context) const noexcept override {
    return context.random.next() % 2 == 0 ? std::optional<std::uint32_t>(7) : std::nullopt;
  }
};

TEST(LabShares, AnIndexOutOfRangeIsNoBackend) {
  const FileLoader loader = [](const core::PolicySpec&, const policy::BuildInput&) {
    return core::Result<PolicyPtr>(std::make_shared<OutOfRange>());
  };
  Scenario scenario = scenario_of(2);
  scenario.workload.flows = 100;
  core::PolicySpec file;
  file.name = "/x.so";
  const auto report = simulate(scenario, file, loader);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->refused, 100U);
  EXPECT_EQ(report->decisions, 0U);
  EXPECT_FALSE(find_metric("imbalance")->value(*report));
}

TEST(LabShares, APolicyThatCannotBeLoadedIsAnError) {
  core::PolicySpec file;
  file.name = "/x.so";
  const auto report = simulate(scenario_of(1), file, no_files);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().line(), "/x.so: is a file");
}

}  // namespace
}  // namespace nfsteer::lab
