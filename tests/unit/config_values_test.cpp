// Good configurations and what they mean.
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "config_support.hpp"
#include "core/queue_layout.hpp"

namespace nfsteer::config {
namespace {

using core::Backend;
using core::IpAddress;
using core::Mode;
using core::OnNoBackend;
using core::Protocol;
using core::Service;
using namespace std::chrono_literals;

Backend backend(std::string_view address, std::uint16_t port = 0, std::uint32_t weight = 1) {
  Backend made;
  made.address = IpAddress::parse(address).value();
  made.port = port;
  made.weight = weight;
  return made;
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
  control_group: ops_1.x-y
  listen: "[fd00::1]:9780"
  watch: true
  track_connections: false
  on_stop: remove
  user: _nfsteer
  seccomp: log
  log_level: debug
  log_format: json
services:
  - name: web
    vip: 10.0.0.40
    protocol: sctp
    port: 80
    mode: rewrite
    policy: {name: mine.so, depth: 3}
    shadow: /etc/nfsteer/theirs.so,depth=4
    masquerade: true
    on_no_backend: drop
    on_backend_loss: reset
    slow_start: 90s
    affinity: {timeout: 30m, ipv4_prefix: 24, ipv6_prefix: 64}
    health:
      type: http
      port: 8081
      path: /healthz?deep=1
      host: example.org
      status: 200-204
      interval: 1s
      timeout: 500ms
      rise: 1
      fall: 2
      jitter: 0
      backoff_max: 2m
      panic_threshold: 50
    backends:
      - address: 10.0.0.20
        port: 8080
        weight: 65535
        state: drain
        backup: true
        data: zone=a
      - 10.0.0.30:81,weight=0
)");
  Service service;
  service.name = "web";
  service.vip = IpAddress::parse("10.0.0.40").value();
  service.protocol = Protocol::sctp;
  service.port = 80;
  service.mode = Mode::rewrite;
  service.policy = {std::filesystem::current_path() / "mine.so", {{"depth", "3"}}};
  service.shadow = {"/etc/nfsteer/theirs.so", {{"depth", "4"}}};
  service.masquerade = true;
  service.on_no_backend = OnNoBackend::drop;
  service.on_backend_loss = core::OnBackendLoss::reset;
  service.slow_start = 90s;
  service.affinity = core::Affinity{30min, 24, 64};
  service.health.emplace();
  service.health->type = core::CheckType::http;
  service.health->port = 8081;
  service.health->path = "/healthz?deep=1";
  service.health->host = "example.org";
  service.health->status_first = 200;
  service.health->status_last = 204;
  service.health->interval = 1s;
  service.health->timeout = 500ms;
  service.health->rise = 1;
  service.health->fall = 2;
  service.health->jitter = 0;
  service.health->backoff_max = 2min;
  service.health->panic_threshold = 50;
  service.backends = {backend("10.0.0.20", 8080, 65535), backend("10.0.0.30", 81, 0)};
  service.backends[0].state = core::AdminState::drain;
  service.backends[0].backup = true;
  service.backends[0].data = "zone=a";
  Engine engine;
  engine.queues = 2;
  engine.queue_base = 10;
  engine.queue_length = 1024;
  engine.seed = UINT64_MAX;
  engine.control = "./control.sock";
  engine.control_group = "ops_1.x-y";
  engine.listen = Endpoint{IpAddress::parse("fd00::1").value(), 9780};
  engine.watch = true;
  engine.track_connections = false;
  engine.on_stop = OnStop::remove;
  engine.user = "_nfsteer";
  engine.seccomp = core::Seccomp::log;
  engine.log_level = LogLevel::debug;
  engine.log_format = LogFormat::json;
  EXPECT_EQ(config.engine, engine);
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
  EXPECT_EQ(config.engine.user, "");
  EXPECT_EQ(config.engine.seccomp, core::Seccomp::enforce);
  EXPECT_EQ(config.engine.log_level, LogLevel::info);
  EXPECT_EQ(config.engine.log_format, LogFormat::text);
  ASSERT_EQ(config.services.size(), 1U);
  const Service& service = config.services[0];
  EXPECT_EQ(service.name, "vip");
  EXPECT_EQ(service.protocol, Protocol::any);
  EXPECT_EQ(service.port, 0);
  EXPECT_EQ(service.mode, Mode::connection);
  EXPECT_EQ(service.policy, core::PolicySpec{});
  EXPECT_EQ(service.shadow, std::nullopt);
  EXPECT_FALSE(service.masquerade);
  EXPECT_EQ(service.on_no_backend, OnNoBackend::reject);
  EXPECT_EQ(service.on_backend_loss, core::OnBackendLoss::keep);
  EXPECT_EQ(service.slow_start, 0s);
  EXPECT_EQ(service.affinity, std::nullopt);
  EXPECT_EQ(service.health, std::nullopt);
  EXPECT_EQ(service.backends, std::vector{backend("10.0.0.20")});
  EXPECT_EQ(service.backends[0].state, core::AdminState::active);
  EXPECT_FALSE(service.backends[0].backup);
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
  const Config config = parsed("engine: {queues: 2, queue_base: 65529}\nservices: []");
  EXPECT_EQ((core::QueueLayout{config.engine.queue_base, 2}.queue(core::QueueGroup::rewrite, 1)), 65534);
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
  flags.policy = "/etc/nfsteer/mine.so";
  flags.shadow = "/p.so";
  flags.masquerade = true;
  flags.on_no_backend = "pass";
  flags.affinity = "30m";
  flags.health = "icmp";
  EngineFlags engine;
  engine.queues = "3";
  engine.queue_base = "7";
  engine.queue_length = "99";
  engine.seed = "42";
  engine.control = "/tmp/x";
  engine.control_group = "ops";
  engine.listen = "9780";
  engine.watch = true;
  engine.no_track_connections = true;
  engine.on_stop = "remove";
  engine.user = "me";
  engine.seccomp = "off";
  engine.log_level = "error";
  engine.log_format = "json";
  auto config = from_flags(flags);
  ASSERT_EQ(error_line(config), "no error");
  ASSERT_EQ(error_line(apply_overrides(*config, engine)), "no error");
  EXPECT_EQ(*config, parsed(R"(
engine: {queues: 3, queue_base: 7, queue_length: 99, seed: 42, control: /tmp/x, on_stop: remove,
         control_group: ops, listen: 127.0.0.1:9780, watch: true, track_connections: false, log_level: error,
         log_format: json, user: me, seccomp: off}
services:
  - {name: web, vip: 10.0.0.40, protocol: udp, port: 53, mode: inspect, policy: /etc/nfsteer/mine.so, shadow: /p.so, masquerade: true,
     on_no_backend: pass, affinity: {timeout: 30m}, health: {type: icmp}, backends: [10.0.0.20, {address: 10.0.0.30, port: 8080, weight: 3}]}
)"));
}

TEST(ConfigValues, FewFlagsAreEnough) {
  ServiceFlags flags;
  flags.vip = "10.0.0.40";
  flags.backends = {"10.0.0.20"};
  const auto config = from_flags(flags);
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

TEST(ConfigValues, FlagsThatAreNotGivenTurnNothingOff) {
  const std::string text = "engine: {watch: true, track_connections: false, listen: 9780}\nservices: []";
  Config config = parsed(text);
  ASSERT_EQ(error_line(apply_overrides(config, {})), "no error");
  EXPECT_EQ(config, parsed(text));
}

TEST(ConfigValues, FormsOfTheListeningAddress) {
  const auto listen = [](const std::string& text) {
    const auto endpoint = parsed(engine("listen: " + text)).engine.listen;
    return endpoint ? core::endpoint_text(endpoint->address, endpoint->port) : "nowhere";
  };
  EXPECT_EQ(listen("9780"), "127.0.0.1:9780");
  EXPECT_EQ(listen("10.0.0.1:1"), "10.0.0.1:1");
  EXPECT_EQ(listen("0.0.0.0:65535"), "0.0.0.0:65535");
  EXPECT_EQ(listen("'[::1]:9780'"), "[::1]:9780");
  EXPECT_EQ(listen("'[::]:9780'"), "[::]:9780");
}

TEST(ConfigValues, WorkersAreTheQueuesOrTheCpus) {
  Engine five;
  five.queues = 5;
  EXPECT_EQ(five.workers(), 5);
  cpu_set_t cpus;
  ASSERT_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
  EXPECT_EQ(Engine{}.workers(), std::min(CPU_COUNT(&cpus), int{core::kWorkersMax}));
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
