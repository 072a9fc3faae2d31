// The simulator against queueing theory. Bounds: the standard error of a mean over n correlated waiting times
// of an M/M/c queue is about sqrt((1 + rho) / (1 - rho)) / sqrt(n) of its own size and some; the bounds are
// at least five times that.
#include <cmath>

#include <gtest/gtest.h>

#include "lab_support.hpp"

namespace nfsteer::lab {
namespace {

// The mean wait of M/M/c in units of the mean service time (Erlang C); `load` is rho, per worker.
double erlang_wait(int workers, double load) {
  const double offered = workers * load;
  double term = 1;
  double sum = 1;
  for (int k = 1; k < workers; ++k) {
    term *= offered / k;
    sum += term;
  }
  const double last = term * offered / workers / (1 - load);
  return last / (sum + last) / (workers * (1 - load));
}

// One server at that load; its mean service time is 1 ms.
Scenario queue(std::uint32_t workers, double load, std::uint64_t flows) {
  Scenario scenario = scenario_of(1);
  scenario.servers[0].concurrency = workers;
  scenario.workload.rate = load * workers * 1000;
  scenario.workload.flows = flows;
  scenario.protocol = core::Protocol::udp;
  return scenario;
}

TEST(LabQueueing, WaitsOfOneWorkerAreThoseOfMM1) {
  for (const double load : {0.5, 0.7, 0.9}) {
    const Report report = run(queue(1, load, 1'000'000));
    const double expected = load / (1 - load);  // ms
    EXPECT_NEAR(figure(report, "wait_mean"), expected, 0.08 * expected) << load;
    EXPECT_NEAR(figure(report, "mean"), expected + 1, 0.08 * (expected + 1)) << load;
    // The response time is exponential: its median and 99 % follow.
    EXPECT_NEAR(figure(report, "p50"), std::log(2) / (1 - load), 0.08 * (expected + 1)) << load;
    EXPECT_NEAR(figure(report, "p99"), std::log(100) / (1 - load), 0.15 * std::log(100) / (1 - load)) << load;
    EXPECT_NEAR(report.backends[0].busy.value_or(0), load, 0.01) << load;
  }
}

TEST(LabQueueing, WaitsOfSeveralWorkersAreThoseOfMMc) {
  EXPECT_NEAR(erlang_wait(1, 0.8), 4, 1e-9);
  for (const int workers : {2, 4, 16}) {
    const double expected = erlang_wait(workers, 0.8);
    const Report report = run(queue(static_cast<std::uint32_t>(workers), 0.8, 1'000'000));
    EXPECT_NEAR(figure(report, "wait_mean"), expected, 0.08 * expected) << workers;
  }
}

TEST(LabQueueing, ConstantServiceHalvesTheWait) {  // Pollaczek and Khinchine
  Scenario scenario = queue(1, 0.8, 1'000'000);
  scenario.workload.service_time = {Shape::constant, static_cast<double>(kMillisecond), 0};
  EXPECT_NEAR(figure(run(scenario), "wait_mean"), 2, 0.12);
}

TEST(LabQueueing, WithoutContentionAResponseIsItsParts) {
  Scenario scenario = queue(1, 0.001, 10);
  scenario.workload.arrivals = Arrivals::constant;
  scenario.workload.service_time = {Shape::constant, 3.0 * kMillisecond, 0};
  scenario.workload.size = {Shape::constant, 5000, 0};
  scenario.servers[0].rtt = {Shape::constant, 10.0 * kMillisecond, 0};
  scenario.servers[0].speed = 2;
  scenario.servers[0].bandwidth = 1'000'000;
  EXPECT_DOUBLE_EQ(figure(run(scenario), "max"), 10 + 1.5 + 5);  // UDP: one round trip
  scenario.protocol = core::Protocol::tcp;
  EXPECT_DOUBLE_EQ(figure(run(scenario), "max"), 20 + 1.5 + 5);  // TCP: and the handshake's
  EXPECT_DOUBLE_EQ(figure(run(scenario), "wait_mean"), 0);
}

TEST(LabQueueing, AServerWithoutLimitKeepsNobodyWaiting) {
  Scenario scenario = queue(1, 5, 10'000);
  scenario.servers[0].concurrency = 0;
  const Report report = run(scenario);
  EXPECT_EQ(figure(report, "wait_p999"), 0);
  EXPECT_GT(figure(report, "peak_open"), 5);
  EXPECT_FALSE(report.backends[0].busy);
}

TEST(LabQueueing, AFullQueueRejects) {
  Scenario scenario = queue(1, 0.9, 200'000);
  scenario.servers[0].queue_max = 3;
  const Report report = run(scenario);
  // M/M/1/K with K = 4 in the system: (1 - rho) rho^K / (1 - rho^(K + 1)).
  const double expected = 0.1 * std::pow(0.9, 4) / (1 - std::pow(0.9, 5));
  EXPECT_NEAR(figure(report, "rejected") / 200'000, expected, 0.01);
  EXPECT_EQ(report.backends[0].answered + report.backends[0].rejected, 200'000U);
}

TEST(LabQueueing, BurstsKeepTheMeanRateAndMakeQueuesLonger) {
  Scenario scenario = queue(4, 0.3, 200'000);
  const Report steady = run(scenario);
  scenario.workload.arrivals = Arrivals::bursty;
  scenario.workload.burst_on = kSecond / 10;
  scenario.workload.burst_off = 3 * kSecond / 10;
  const Report bursty = run(scenario);
  const auto seconds = [](const Report& report) { return static_cast<double>(report.end) / kSecond; };
  EXPECT_NEAR(seconds(bursty), seconds(steady), 0.15 * seconds(steady));
  EXPECT_GT(figure(bursty, "wait_p99"), 5 * figure(steady, "wait_p99"));
}

TEST(LabQueueing, TheWarmUpIsNotMeasured) {
  Scenario scenario = queue(1, 0.5, 10'000);
  scenario.warmup = 5 * kSecond;
  const Report report = run(scenario);
  EXPECT_GT(report.decisions, 6'000U);
  EXPECT_LT(report.decisions, 9'000U);
  EXPECT_EQ(report.response.count(), report.decisions);
}

}  // namespace
}  // namespace nfsteer::lab
