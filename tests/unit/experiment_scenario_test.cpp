// Scenarios and churn scripts: what they mean, and what is wrong with them.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "experiment_support.hpp"

namespace nfsteer::experiment {
namespace {

using lab::Action;
using lab::Arrivals;
using lab::Distribution;
using lab::kMillisecond;
using lab::kSecond;
using lab::Shape;

constexpr const char* kFull = R"(seed: 7
vip: 10.9.9.9
port: 8080
protocol: udp
policies: [maglev, "power-of-two-choices", {name: maglev, table_size: 5003}]
workload:
  arrivals: bursty
  rate: 1500.5
  burst_on: 500ms
  burst_off: 1.5s
  duration: 1m
  service_time: {shape: pareto, mean: 10ms, alpha: 1.5}
  size: lognormal,mean=1500,sigma=0.5
  clients: 50
  skew: 0.9
backends:
  - 10.0.0.1
  - "10.0.0.2:81,weight=3,speed=0.5"
  - {address: 10.0.0.3, weight: 0, concurrency: 0, queue: 10, bandwidth: 1000000, rtt: {shape: exponential, mean: 3ms}}
server: {concurrency: 4, rtt: 1ms}
event_delay: 2ms
detection: 3s
timeout: 4s
warmup: 5s
probes: 100
decisions_only: true
churn:
  - {at: 20s, do: remove, backend: 10.0.0.4}
  - {at: 10s, do: add, backend: {address: 10.0.0.4, weight: 5}}
  - {at: 10s, do: slow, backend: 10.0.0.4, factor: 2.5, rtt: 50ms}
  - {at: 0, do: weight, backend: "10.0.0.2:81", weight: 9}
)";

TEST(Scenario, EveryFieldIsRead) {
  const auto read = parse_scenario(kFull, "lab.yaml");
  ASSERT_EQ(error_line(read), "no error");
  const lab::Scenario& scenario = read->scenario;
  EXPECT_EQ(scenario.seed, 7U);
  EXPECT_EQ(scenario.vip.to_string(), "10.9.9.9");
  EXPECT_EQ(scenario.port, 8080);
  EXPECT_EQ(scenario.protocol, core::Protocol::udp);
  ASSERT_EQ(read->policies.size(), 3U);
  EXPECT_EQ(core::to_string(read->policies[2]), "maglev,table_size=5003");
  EXPECT_EQ(scenario.workload.arrivals, Arrivals::bursty);
  EXPECT_EQ(scenario.workload.rate, 1500.5);
  EXPECT_EQ(scenario.workload.burst_on, kSecond / 2);
  EXPECT_EQ(scenario.workload.burst_off, 3 * kSecond / 2);
  EXPECT_EQ(scenario.workload.duration, 60 * kSecond);
  EXPECT_EQ(scenario.workload.service_time, (Distribution{Shape::pareto, 10.0 * kMillisecond, 1.5}));
  EXPECT_EQ(scenario.workload.size, (Distribution{Shape::lognormal, 1500, 0.5}));
  EXPECT_EQ(scenario.workload.clients, 50U);
  EXPECT_EQ(scenario.workload.skew, 0.9);
  EXPECT_EQ(scenario.event_delay, 2 * kMillisecond);
  EXPECT_EQ(scenario.detection, 3 * kSecond);
  EXPECT_EQ(scenario.timeout, 4 * kSecond);
  EXPECT_EQ(scenario.warmup, 5 * kSecond);
  EXPECT_EQ(scenario.probes, 100U);
  EXPECT_TRUE(scenario.decisions_only);
}

TEST(Scenario, BackendsHaveWhatAllHaveInCommonUnlessTheySayOtherwise) {
  const auto read = parse_scenario(kFull, "lab.yaml");
  ASSERT_TRUE(read);
  const auto& servers = read->scenario.servers;
  ASSERT_EQ(servers.size(), 3U);
  EXPECT_EQ(servers[0].concurrency, 4U);
  EXPECT_EQ(servers[0].rtt, (Distribution{Shape::constant, 1.0 * kMillisecond, 0}));
  EXPECT_EQ(servers[1].backend.port, 81);
  EXPECT_EQ(servers[1].backend.weight, 3U);
  EXPECT_EQ(servers[1].speed, 0.5);
  EXPECT_EQ(servers[1].queue_max, lab::Server::kNoLimit);
  EXPECT_EQ(servers[2].concurrency, 0U);
  EXPECT_EQ(servers[2].queue_max, 10U);
  EXPECT_EQ(servers[2].bandwidth, 1e6);
  EXPECT_EQ(servers[2].rtt, (Distribution{Shape::exponential, 3.0 * kMillisecond, 0}));
}

TEST(Scenario, ChangesAreInTheOrderOfTheirTimes) {
  const auto read = parse_scenario(kFull, "lab.yaml");
  ASSERT_TRUE(read);
  const auto& churn = read->scenario.churn;
  ASSERT_EQ(churn.size(), 4U);
  EXPECT_EQ(to_string(churn[0]), "weight 10.0.0.2:81 9");
  EXPECT_EQ(to_string(churn[1]), "add 10.0.0.4");
  EXPECT_EQ(churn[1].server->backend.weight, 5U);
  EXPECT_EQ(churn[1].server->concurrency, 4U);
  EXPECT_EQ(to_string(churn[2]), "slow 10.0.0.4 2.5x rtt 50 ms");
  EXPECT_EQ(to_string(churn[3]), "remove 10.0.0.4");
  EXPECT_EQ(churn[3].at, 20 * kSecond);
}

TEST(Scenario, ANumberOfBackendsIsSoManyAlike) {
  const auto four = parse_scenario("backends: 300\nserver: {weight: 2}\n", "lab.yaml");
  ASSERT_TRUE(four);
  ASSERT_EQ(four->scenario.servers.size(), 300U);
  EXPECT_EQ(four->scenario.servers[0].backend.address.to_string(), "10.0.0.1");
  EXPECT_EQ(four->scenario.servers[299].backend.address.to_string(), "10.0.1.44");
  EXPECT_EQ(four->scenario.servers[299].backend.weight, 2U);
  const auto six = parse_scenario("vip: 2001:db8::5\nbackends: 2\n", "lab.yaml");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->scenario.servers[1].backend.address.to_string(), "fd00::2");
  const auto of_itself = parse_scenario("backends: ['fd00::7']\n", "lab.yaml");
  ASSERT_TRUE(of_itself);
  EXPECT_FALSE(of_itself->scenario.vip.is_v4());
}

struct Case {
  std::string text;
  std::string error;
};

TEST(Scenario, WhatIsWrongIsNamedWithItsLineReasonAndMend) {
  const std::string kTime = "; write it as in 5ms: a number and ns, us, ms, s, m or h";
  const std::vector<Case> kCases{
      {"", "lab.yaml: empty; write at least `backends: 2`"},
      {"seed: 1\n",
       "lab.yaml: no backend is given; give backends in the file, --backend ADDRESS, or --servers N"},
      {"backends: 1\nsped: 1\n", "lab.yaml:2: unknown field \"sped\"; did you mean \"seed\"?"},
      {"backends: 0\n",
       "lab.yaml:1: backends: 0 is not a whole number from 1 to 16384; write how many backends, or a "
       "list of them"},
      {"backends:\n  - 10.0.0.1\n  - 10.0.0.1\n",
       "lab.yaml:3: backends[1]: 10.0.0.1:80 is backends[0] already; name each backend once and give it a "
       "weight"},
      {"backends:\n  - 10.0.0.1\n  - {address: 10.0.0.2, speed: 0}\n",
       "lab.yaml:3: backends[1].speed: 0 is not a number from 0.001 to 1000; write what service times are "
       "divided by"},
      {"backends: ['10.0.0.1,weight=x']\n",
       "lab.yaml:1: backends[0].weight: \"x\" is not a whole number from 0 to 65535; write the share of new "
       "connections "
       "as such a number"},
      {"backends: [{weight: 1}]\n", "lab.yaml:1: backends[0]: \"address\" is missing; add address: ADDRESS"},
      {"backends: ['fd00::1', 10.0.0.1]\n",
       "lab.yaml:1: backends[1]: 10.0.0.1 is IPv4, but the VIP 2001:db8::1 is IPv6; use backends of the "
       "VIP's family"},
      {"backends: 1\nserver: {address: 10.0.0.1}\n",
       "lab.yaml:2: server: unknown field \"address\"; the fields here are weight, concurrency, queue, "
       "speed, bandwidth "
       "and rtt"},
      {"backends: 1\npolicies: [nonsense]\n",
       "lab.yaml:2: policies[0]: \"nonsense\" is unknown; `nfsteer policy list` names the policies; a file "
       "is PATH.so or "
       "PATH.py:CLASS"},
      {"backends: 1\npolicies: []\n", "lab.yaml:2: policies: names no policy; name one"},
      {"backends: 1\nworkload: {rate: -1}\n",
       "lab.yaml:2: workload.rate: -1 is not a number from 0.001 to 100000000; write how many flows come per "
       "second"},
      {"backends: 1\nworkload: {rate: 1e3}\n",
       "lab.yaml:2: workload.rate: 1e3 is not a number from 0.001 to 100000000; write how many flows come "
       "per second"},
      {"backends: 1\nworkload: {duration: 5}\n", "lab.yaml:2: workload.duration: 5 has no unit" + kTime},
      {"backends: 1\nworkload: {duration: 5 parsecs}\n",
       "lab.yaml:2: workload.duration: \"5 parsecs\" is not a time" + kTime},
      {"backends: 1\nworkload: {duration: 0s}\n",
       "lab.yaml:2: workload.duration: 0s is not from 1ns to 1000h; write after what time no more flows "
       "come"},
      {"backends: 1\nworkload: {burst_on: 1s}\n",
       "lab.yaml:2: workload.burst_on: belongs to arrivals: bursty; leave it out, or add arrivals: bursty"},
      {"backends: 1\nworkload: {service_time: {shape: pareto, mean: 1ms}}\n",
       "lab.yaml:2: workload.service_time: \"alpha\" is missing; add alpha, which the shape pareto needs"},
      {"backends: 1\nworkload: {service_time: {shape: pareto, mean: 1ms, alpha: 1}}\n",
       "lab.yaml:2: workload.service_time.alpha: 1 is not a number from 1.001 to 1000; write the exponent of "
       "the tail; "
       "without a mean at 1 and below"},
      {"backends: 1\nworkload: {service_time: {shape: constant, mean: 1ms, sigma: 1}}\n",
       "lab.yaml:2: workload.service_time.sigma: the shape constant has no sigma; leave it out, or change "
       "the shape"},
      {"backends: 1\nworkload: {service_time: 'constant,1ms'}\n",
       "lab.yaml:2: workload.service_time: \"1ms\" is not of the form NAME=VALUE; write SHAPE,mean=MEAN and "
       "sigma= or "
       "alpha= where the shape has it"},
      {"backends: 1\nworkload: [1]\n",
       "lab.yaml:2: workload: a list where a map is expected; write a map with rate and "
       "others"},
  };
  for (const auto& [text, error] : kCases) {
    const auto read = parse_scenario(text, "lab.yaml");
    EXPECT_EQ(error_line(read), error) << text;
    if (!read) {
      EXPECT_EQ(read.error().exit_code(), 2);
    }
  }
}

TEST(Scenario, WhatIsWrongWithAChangeIsNamed) {
  const std::vector<Case> kCases{
      {"at: 1s, do: drain", "\"backend\" is missing; add backend: ADDRESS"},
      {"do: drain, backend: 10.0.0.1", "\"at\" is missing; add at: TIME"},
      {"at: 1s, backend: 10.0.0.1", "\"do\" is missing; add do: ACTION"},
      {"at: 1s, do: weight, backend: 10.0.0.1", "\"weight\" is missing; add weight: N"},
      {"at: 1s, do: slow, backend: 10.0.0.1", "\"factor\" is missing; add factor: N, or rtt: TIME, or both"},
  };
  for (const auto& [text, error] : kCases)
    EXPECT_EQ(error_line(parse_scenario("backends: 2\nchurn:\n  - {" + text + "}\n", "lab.yaml")),
              "lab.yaml:3: churn[0]: " + error);
  const std::vector<Case> kFields{
      {"at: 1s, do: dance, backend: 10.0.0.1",
       "do: \"dance\" is unknown; use add, remove, activate, drain, maintenance, weight, fail, recover or "
       "slow"},
      {"at: 1s, do: drain, backend: 10.0.0.9",
       "backend: 10.0.0.9 is no backend at that time; name one of the scenario's, or add it first"},
      {"at: 1s, do: add, backend: 10.0.0.1",
       "backend: 10.0.0.1 is a backend already; remove it first, or change its weight or state"},
      {"at: 1s, do: add, backend: 'fd00::1'",
       "backend: fd00::1 is not of the VIP's family; use backends of that family"},
      {"at: 1s, do: drain, backend: '10.0.0.1,weight=2'",
       "backend: \"10.0.0.1,weight=2\" is more than an address; write ADDRESS or ADDRESS:PORT, as it is "
       "among the "
       "backends"},
      {"at: 1s, do: drain, backend: 10.0.0.1, weight: 2", "weight: belongs to do: weight; leave it out"},
      {"at: 1s, do: add, backend: 10.0.0.7, weight: 2",
       "weight: belongs to do: weight; write it as a field of the backend"},
  };
  for (const auto& [text, error] : kFields)
    EXPECT_EQ(error_line(parse_scenario("backends: 2\nchurn:\n  - {" + text + "}\n", "lab.yaml")),
              "lab.yaml:3: churn[0]." + error);
  // The first remove makes the second one wrong, whatever their order in the file.
  EXPECT_EQ(error_line(parse_scenario("backends: 2\nchurn:\n"
                                      "  - {at: 2s, do: remove, backend: 10.0.0.1}\n"
                                      "  - {at: 1s, do: remove, backend: 10.0.0.1}\n",
                                      "lab.yaml")),
            "lab.yaml:3: churn[0].backend: 10.0.0.1 is no backend at that time; name one of the scenario's, "
            "or add it "
            "first");
}

TEST(ScenarioFlags, WinOverTheFileAndAreNamedInErrors) {
  const Folder folder;
  Flags flags;
  flags.scenario_file =
      folder.write("lab.yaml", std::string("backends: 5\nseed: 3\nworkload: {rate: 10, clients: 5}\n"));
  flags.rate = "20";
  flags.policies = {"twos"};
  flags.backends = {"10.0.0.1,weight=2", "10.0.0.2,concurrency=3"};
  flags.rtt = "5ms";
  flags.duration = "10s";
  const auto read = load(flags);
  ASSERT_EQ(error_line(read), "no error");
  EXPECT_EQ(read->scenario.workload.rate, 20);
  EXPECT_EQ(read->scenario.workload.clients, 5U);
  EXPECT_EQ(read->scenario.workload.duration, 10 * kSecond);
  EXPECT_EQ(read->scenario.seed, 3U);
  EXPECT_EQ(read->policies[0].name, "power-of-two-choices");
  ASSERT_EQ(read->scenario.servers.size(), 2U);
  EXPECT_EQ(read->scenario.servers[1].concurrency, 3U);
  EXPECT_EQ(read->scenario.servers[1].rtt.mean, 5.0 * kMillisecond);

  flags.rate = "fast";
  EXPECT_EQ(error_line(load(flags)),
            "--rate: \"fast\" is not a number from 0.001 to 100000000; write how many flows come per second");
  flags.rate.reset();
  flags.backends.emplace_back("10.0.0.3,speed=-1");
  EXPECT_EQ(
      error_line(load(flags)),
      "--backend \"10.0.0.3,speed=-1\": -1 is not a number from 0.001 to 1000; write what service times are "
      "divided by");
  EXPECT_EQ(error_line(load({})),
            "--backend: no backend is given; give backends in the file, --backend ADDRESS, or --servers N");
  Flags missing;
  missing.scenario_file = folder.path("none.yaml");
  EXPECT_EQ(error_line(load(missing)),
            folder.path("none.yaml") + ": cannot be read: No such file or directory; give a readable file");
}

TEST(ScenarioFlags, AChurnScriptStandsForTheScenariosOwn) {
  const Folder folder;
  Flags flags;
  flags.servers = "3";
  flags.churn_file =
      folder.write("churn.yaml", std::string("churn:\n  - {at: 1s, do: fail, backend: 10.0.0.2}\n"));
  const auto read = load(flags);
  ASSERT_EQ(error_line(read), "no error");
  ASSERT_EQ(read->scenario.churn.size(), 1U);
  EXPECT_EQ(read->scenario.churn[0].action, Action::fail);
  folder.write("churn.yaml", std::string("churn: []\nseed: 1\n"));
  EXPECT_EQ(error_line(load(flags)),
            flags.churn_file + ":2: unknown field \"seed\"; the fields here are churn");
  folder.write("churn.yaml", std::string("{}\n"));
  EXPECT_EQ(error_line(load(flags)),
            flags.churn_file + ":1: \"churn\" is missing; add churn: and a list of changes");
}

}  // namespace
}  // namespace nfsteer::experiment
