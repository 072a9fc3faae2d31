// What is written of a configuration, as YAML, as JSON and as raw values, means the configuration.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/diff.hpp"
#include "config/json_reader.hpp"
#include "config/services_edit.hpp"
#include "config_support.hpp"
#include "core/random.hpp"

namespace nfsteer::config {
namespace {

using core::CheckType;
using core::HealthCheck;
using core::IpAddress;
using core::Mode;
using core::OnNoBackend;
using core::Protocol;
using core::Service;

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
    if (below(2) == 0) config.engine.control_group = "group.1";
    if (below(2) == 0) config.engine.listen = Endpoint{address(below(2) == 0, 3, 1), port()};
    config.engine.watch = below(2) == 0;
    config.engine.track_connections = below(2) == 0;
    config.engine.log_level = static_cast<LogLevel>(below(4));
    config.engine.log_format = static_cast<LogFormat>(below(2));
    config.engine.on_stop = below(2) == 0 ? OnStop::remove : OnStop::keep;
    if (below(2) == 0) config.engine.user = "user-1";
    config.engine.seccomp = static_cast<core::Seccomp>(below(3));
    for (std::uint64_t i = below(5); i > 0; --i)
      config.services.push_back(service(i));
    return config;
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_.next() % limit; }

  std::uint16_t port() { return static_cast<std::uint16_t>(1 + below(65535)); }

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
    if (below(2) == 0) made.port = port();
    if (made.port != 0 || below(2) == 0) made.protocol = kWithPorts[below(3)];
    made.mode = static_cast<Mode>(below(4));
    if (below(2) == 0) made.policy = {"/etc/nfsteer/mine.so", {{"depth", std::to_string(below(9))}}};
    if (below(3) == 0) made.shadow = {"weighted-random", {}};
    made.masquerade = below(2) == 0;
    made.on_no_backend = static_cast<OnNoBackend>(below(3));
    made.on_backend_loss = static_cast<core::OnBackendLoss>(below(2));
    made.slow_start = seconds(below(4) * 30);
    if (below(2) == 0)
      made.affinity = core::Affinity{seconds(1 + below(86'400)), static_cast<std::uint8_t>(1 + below(32)),
                                     static_cast<std::uint8_t>(1 + below(128))};
    if (below(4) != 0) made.health = check(made);
    for (std::uint64_t i = below(4); i > 0; --i)
      made.backends.push_back(backend_of(made, address(is_v4, 2, i)));
    return made;
  }

  core::Backend backend_of(const Service& of, const IpAddress& at) {
    core::Backend made;
    made.address = at;
    if (of.port != 0 && below(2) == 0) made.port = port();
    made.weight = static_cast<std::uint32_t>(below(core::kWeightMax + 1));
    made.state = static_cast<core::AdminState>(below(3));
    made.backup = below(2) == 0;
    return made;
  }

  HealthCheck check(const Service& of) {
    HealthCheck made;
    made.type = static_cast<CheckType>(below(6));
    const bool has_port = made.type != CheckType::icmp && made.type != CheckType::passive;
    const bool needs_port = has_port && made.type != CheckType::exec && of.port == 0;
    if (needs_port || (has_port && below(2) == 0)) made.port = port();
    add_own_fields(made);
    if (below(2) == 0) made.interval = milliseconds(100 + below(3'600'000 - 99));
    made.timeout = std::min(milliseconds(10 + below(5'000)), made.interval);
    made.backoff_max = made.interval + milliseconds(below(3) * 30'000);
    made.rise = static_cast<std::uint16_t>(1 + below(100));
    made.fall = static_cast<std::uint16_t>(1 + below(4));
    made.jitter = static_cast<std::uint8_t>(below(51));
    made.panic_threshold = static_cast<std::uint8_t>(below(3) * 50);
    const bool has_tcp = of.protocol == Protocol::tcp || of.protocol == Protocol::any;
    if (has_tcp && below(2) == 0) made.passive = static_cast<std::uint16_t>(below(1001));
    if (made.type == CheckType::passive) {
      if (!has_tcp) made.type = CheckType::icmp;
      if (has_tcp && made.passive == 0) made.passive = 3;
    }
    return made;
  }

  void add_own_fields(HealthCheck& made) {
    constexpr std::string_view kWords[] = {"/bin/true", "", "a b", "\"", "\\", "null", "{}", "-x"};
    if (made.type == CheckType::http) {
      if (below(2) == 0) made.path = "/a\"b#c:{}";
      if (below(2) == 0) made.host = "[fd00::1]:80";
      made.status_first = static_cast<std::uint16_t>(100 + below(200));
      made.status_last = static_cast<std::uint16_t>(made.status_first + below(2) * 200);
    } else if (made.type == CheckType::udp) {
      for (std::uint64_t i = below(40); i > 0; --i)
        made.send += static_cast<char>(below(256));
      if (below(2) == 0) made.expect = made.send;
    } else if (made.type == CheckType::exec) {
      made.command = {"/bin/true"};
      for (std::uint64_t i = below(4); i > 0; --i)
        made.command.emplace_back(kWords[below(std::size(kWords))]);
    }
  }

  static std::chrono::seconds seconds(std::uint64_t count) {
    return std::chrono::seconds(static_cast<std::int64_t>(count));
  }
  static std::chrono::milliseconds milliseconds(std::uint64_t count) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(count));
  }

  core::Random random_;
};

TEST(ConfigRoundTrip, WhatIsWrittenIsReadBackAsItWas) {
  ConfigMaker maker(7);
  for (int i = 0; i < 500; ++i) {
    const Config config = maker.make();
    const auto again = parse(to_yaml(config));
    ASSERT_EQ(error_line(again), "no error") << to_yaml(config);
    ASSERT_EQ(*again, config);
  }
}

TEST(ConfigRoundTrip, ServicesInJsonAreTheServices) {
  ConfigMaker maker(8);
  for (int i = 0; i < 500; ++i) {
    const std::vector<Service> services = maker.make().services;
    RawValue list = raw_from(std::vector<Service>{});
    for (const Service& each : services)
      list.children.push_back(read_json(boost::json::serialize(to_json(each))).value());
    ASSERT_EQ(error_line(validate_services(list)), "no error");
    ASSERT_EQ(validate_services(list).value(), services);
    ASSERT_EQ(validate_services(raw_from(services)).value(), services);
  }
}

// The order of backends aside, which a comparison does not look at and the maker does not vary.
TEST(ConfigRoundTrip, ServicesThatDifferHaveDifferences) {
  ConfigMaker maker(9);
  for (int i = 0; i < 500; ++i) {
    const std::vector<Service> before = maker.make().services;
    const std::vector<Service> after = maker.make().services;
    ASSERT_EQ(differences(before, after).empty(), before == after);
    ASSERT_THAT(differences(after, after), testing::IsEmpty());
  }
}

}  // namespace
}  // namespace nfsteer::config
