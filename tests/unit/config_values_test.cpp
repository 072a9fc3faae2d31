// Good configurations and what they mean.
#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "config_support.hpp"
#include "core/queue_layout.hpp"
#include "core/random.hpp"

namespace nfsteer::config {
namespace {

using core::Backend;
using core::IpAddress;
using core::Mode;
using core::OnNoBackend;
using core::Protocol;
using core::Service;

Backend backend(std::string_view address, std::uint16_t port = 0, std::uint32_t weight = 1) {
  return {IpAddress::parse(address).value(), port, weight};
}

Config parsed(const std::string& text) {
  const auto config = parse(text);
  EXPECT_EQ(error_line(config), "no error") << text;
  return config.value_or(Config{});
}

TEST(ConfigValues, EveryFieldIsRead) {
  const Config config = parsed(R"(
engine:
  queues: 2
  queue_base: 10
  queue_length: 1024
  seed: 18446744073709551615
  control: ./control.sock
  on_stop: remove
services:
  - name: web
    vip: 10.0.0.40
    protocol: sctp
    port: 80
    mode: rewrite
    policy: other
    masquerade: true
    on_no_backend: drop
    backends:
      - address: 10.0.0.20
        port: 8080
        weight: 65535
      - 10.0.0.30:81,weight=0
)");
  Service service;
  service.name = "web";
  service.vip = IpAddress::parse("10.0.0.40").value();
  service.protocol = Protocol::sctp;
  service.port = 80;
  service.mode = Mode::rewrite;
  service.policy = "other";
  service.masquerade = true;
  service.on_no_backend = OnNoBackend::drop;
  service.backends = {backend("10.0.0.20", 8080, 65535), backend("10.0.0.30", 81, 0)};
  EXPECT_EQ(config.engine.on_stop, OnStop::remove);
  ASSERT_EQ(config.services.size(), 1U);
  EXPECT_EQ(config.services[0], service);
}

TEST(ConfigValues, WhatIsLeftOutHasItsDefault) {
  const Config config = parsed("engine:\nservices:\n  - {vip: 10.0.0.40, backends: [10.0.0.20]}\n");
  EXPECT_EQ(config.engine.queue_length, 4096U);
  EXPECT_EQ(config.engine.seed, std::nullopt);
  EXPECT_EQ(config.engine.control, "/run/nfsteer/control.sock");
  EXPECT_EQ(config.engine.control_group, "");
  EXPECT_EQ(config.engine.listen, std::nullopt);
  EXPECT_FALSE(config.engine.watch);
  EXPECT_TRUE(config.engine.track_connections);
  EXPECT_EQ(config.engine.on_stop, OnStop::keep);
  EXPECT_EQ(config.engine.log_level, LogLevel::info);
  EXPECT_EQ(config.engine.log_format, LogFormat::text);
  ASSERT_EQ(config.services.size(), 1U);
  const Service& service = config.services[0];
  EXPECT_EQ(service.name, "vip");
  EXPECT_EQ(service.protocol, Protocol::any);
  EXPECT_EQ(service.port, 0);
  EXPECT_EQ(service.mode, Mode::connection);
  EXPECT_EQ(service.policy, "weighted-random");
  EXPECT_FALSE(service.masquerade);
  EXPECT_EQ(service.on_no_backend, OnNoBackend::reject);
  EXPECT_EQ(service.backends, std::vector{backend("10.0.0.20")});
}

TEST(ConfigValues, APortMeansTcpUnlessAProtocolIsGiven) {
  EXPECT_EQ(parsed("services: [{vip: 10.0.0.1, port: 80, backends: []}]").services[0].protocol,
            Protocol::tcp);
  EXPECT_EQ(parsed("services: [{vip: 10.0.0.1, port: 53, protocol: udp, backends: []}]").services[0].protocol,
            Protocol::udp);
}

TEST(ConfigValues, NoServicesAndNoBackendsAreLegalWhenSaid) {
  EXPECT_EQ(parsed("services: []"), Config{});
  EXPECT_TRUE(parsed("services: [{vip: 10.0.0.1, backends: []}]").services[0].backends.empty());
}

TEST(ConfigValues, OneVipMayCarrySeveralServices) {
  const Config config = parsed(R"(
services:
  - {name: all, vip: 10.0.0.40, backends: [10.0.0.20]}
  - {name: tcp, vip: 10.0.0.40, protocol: tcp, backends: [10.0.0.20]}
  - {name: http, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, '10.0.0.20:8080']}
  - {name: dns, vip: 10.0.0.40, port: 80, protocol: udp, backends: [10.0.0.20]}
)");
  EXPECT_EQ(config.services.size(), 4U);
}

TEST(ConfigValues, ShortFormsOfBackends) {
  const Config config = parsed(R"(
services:
  - name: four
    vip: 10.0.0.40
    port: 80
    backends: [10.0.0.20, '10.0.0.21:8080', '10.0.0.22,weight=3', '10.0.0.23:8080,weight=0']
  - name: six
    vip: fd00::40
    port: 80
    backends:
      - fd00::20
      - "[fd00::21]"
      - "[fd00::22]:8080"
      - "[fd00::23]:8080,weight=3"
      - fd00::24,weight=5
)");
  EXPECT_EQ(config.services[0].backends,
            (std::vector{backend("10.0.0.20"), backend("10.0.0.21", 8080), backend("10.0.0.22", 0, 3),
                         backend("10.0.0.23", 8080, 0)}));
  EXPECT_EQ(config.services[1].backends,
            (std::vector{backend("fd00::20"), backend("fd00::21"), backend("fd00::22", 8080),
                         backend("fd00::23", 8080, 3), backend("fd00::24", 0, 5)}));
}

TEST(ConfigValues, LoopbackBackendsNeedALoopbackVip) {
  const Config config = parsed("services: [{vip: 127.0.0.40, backends: [127.0.0.1]}]");
  EXPECT_EQ(config.services[0].backends, std::vector{backend("127.0.0.1")});
}

TEST(ConfigValues, TheLastQueueNumbersCanBeUsed) {
  const Config config = parsed("engine: {queues: 2, queue_base: 65530}\nservices: []");
  EXPECT_EQ((core::QueueLayout{config.engine.queue_base, 2}.queue(core::QueueGroup::rewrite, 1)), 65535);
}

TEST(ConfigValues, JsonIsYaml) {
  const Config config = parsed(R"({"engine": {"queues": 2}, "services":
    [{"name": "web", "vip": "fd00::40", "port": 80, "masquerade": true, "backends": [{"address": "fd00::20", "weight": 3}]}]})");
  EXPECT_EQ(config.engine.queues, 2);
  EXPECT_TRUE(config.services[0].masquerade);
  EXPECT_EQ(config.services[0].backends, std::vector{backend("fd00::20", 0, 3)});
}

TEST(ConfigValues, FlagsMeanTheSameAsAFile) {
  ServiceFlags flags;
  flags.vip = "10.0.0.40";
  flags.backends = {"10.0.0.20", "10.0.0.30:8080,weight=3"};
  flags.name = "web";
  flags.protocol = "udp";
  flags.port = "53";
  flags.mode = "inspect";
  flags.policy = "other";
  flags.masquerade = true;
  flags.on_no_backend = "pass";
  EngineFlags engine;
  engine.queues = "3";
  engine.queue_base = "7";
  engine.queue_length = "99";
  engine.seed = "42";
  engine.control = "/tmp/x";
  engine.on_stop = "remove";
  auto config = from_flags(flags, kPolicies);
  ASSERT_EQ(error_line(config), "no error");
  ASSERT_EQ(error_line(apply_overrides(*config, engine)), "no error");
  EXPECT_EQ(*config, parsed(R"(
engine: {queues: 3, queue_base: 7, queue_length: 99, seed: 42, control: /tmp/x, on_stop: remove}
services:
  - {name: web, vip: 10.0.0.40, protocol: udp, port: 53, mode: inspect, policy: other, masquerade: true,
     on_no_backend: pass, backends: [10.0.0.20, {address: 10.0.0.30, port: 8080, weight: 3}]}
)"));
}

TEST(ConfigValues, FewFlagsAreEnough) {
  ServiceFlags flags;
  flags.vip = "10.0.0.40";
  flags.backends = {"10.0.0.20"};
  const auto config = from_flags(flags, kPolicies);
  ASSERT_EQ(error_line(config), "no error");
  EXPECT_EQ(*config, parsed("services: [{vip: 10.0.0.40, backends: [10.0.0.20]}]"));
}

TEST(ConfigValues, OverridesTouchOnlyWhatIsGiven) {
  Config config = parsed("engine: {queues: 2, queue_base: 3, seed: 5, on_stop: remove}\nservices: []");
  EngineFlags flags;
  flags.queue_base = "9";
  ASSERT_EQ(error_line(apply_overrides(config, flags)), "no error");
  EXPECT_EQ(config, parsed("engine: {queues: 2, queue_base: 9, seed: 5, on_stop: remove}\nservices: []"));
}

TEST(ConfigValues, WorkersAreTheQueuesOrTheCpus) {
  Engine five;
  five.queues = 5;
  EXPECT_EQ(five.workers(), 5);
  cpu_set_t cpus;
  ASSERT_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
  EXPECT_EQ(Engine{}.workers(), std::min(CPU_COUNT(&cpus), int{core::kWorkersMax}));
}

// Random configurations, from few values, so that all fields take all their kinds of value.
class ConfigMaker {
 public:
  explicit ConfigMaker(std::uint64_t seed) : random_(seed) {}

  Config make() {
    Config config;
    config.engine.queues = static_cast<std::uint16_t>(below(5));
    config.engine.queue_base = static_cast<std::uint16_t>(below(60000));
    config.engine.queue_length = static_cast<std::uint32_t>(1 + below(kQueueLengthMax));
    if (below(2) == 0) config.engine.seed = random_.next();
    constexpr std::string_view kPaths[] = {"a b", "null", "/run/x: #y", "\"'\\n", "~", "- x", "{}"};
    config.engine.control = kPaths[below(std::size(kPaths))];
    config.engine.on_stop = below(2) == 0 ? OnStop::remove : OnStop::keep;
    for (std::uint64_t i = below(5); i > 0; --i)
      config.services.push_back(service(i));
    return config;
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_.next() % limit; }

  IpAddress address(bool is_v4, std::uint64_t net, std::uint64_t host) {
    return IpAddress::parse(fmt::format(fmt::runtime(is_v4 ? "10.{}.0.{}" : "fd0{}::{:x}"), net, host))
        .value();
  }

  Service service(std::uint64_t number) {
    constexpr std::string_view kNames[] = {"null", "1", "true", "1.5", "web-a_b", "0x1"};
    constexpr Protocol kWithPorts[] = {Protocol::tcp, Protocol::udp, Protocol::sctp};
    const bool is_v4 = below(2) == 0;
    Service made;
    made.name = kNames[number];
    made.vip = address(is_v4, 1, number);
    if (below(2) == 0) made.port = static_cast<std::uint16_t>(1 + below(65535));
    if (made.port != 0 || below(2) == 0) made.protocol = kWithPorts[below(3)];
    made.mode = static_cast<Mode>(below(4));
    made.policy = kPolicies[below(2)];
    made.masquerade = below(2) == 0;
    made.on_no_backend = static_cast<OnNoBackend>(below(3));
    for (std::uint64_t i = below(4); i > 0; --i) {
      const auto port = made.port == 0 || below(2) == 0 ? 0 : 1 + below(65535);
      made.backends.push_back({address(is_v4, 2, i), static_cast<std::uint16_t>(port),
                               static_cast<std::uint32_t>(below(core::kWeightMax + 1))});
    }
    return made;
  }

  core::Random random_;
};

TEST(ConfigValues, WhatIsWrittenIsReadBackAsItWas) {
  ConfigMaker maker(7);
  for (int i = 0; i < 500; ++i) {
    const Config config = maker.make();
    const auto again = parse(to_yaml(config));
    ASSERT_EQ(error_line(again), "no error") << to_yaml(config);
    ASSERT_EQ(*again, config);
  }
}

TEST(ConfigValues, AThousandServicesOfTenBackends) {
  std::string text = "services:\n";
  for (int i = 0; i < 1000; ++i) {
    text += fmt::format("  - name: s{}\n    vip: 10.1.{}.{}\n    port: 80\n    backends:\n", i, i / 250,
                        1 + i % 250);
    for (int j = 0; j < 10; ++j)
      text += fmt::format("      - address: 10.2.{}.{}\n        port: 8080\n        weight: {}\n", i / 250,
                          1 + j, j);
  }
  const Config config = parsed(text);
  ASSERT_EQ(config.services.size(), 1000U);
  EXPECT_EQ(config.services[999].backends[9], backend("10.2.3.10", 8080, 9));
}

}  // namespace
}  // namespace nfsteer::config
