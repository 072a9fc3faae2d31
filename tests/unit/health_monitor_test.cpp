// The monitor against real servers on loopback: what it finds, when, and what it costs.
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "core/random.hpp"
#include "health/monitor.hpp"
#include "health_support.hpp"

namespace nfsteer::health {
namespace {

using core::AdminState;
using core::BackendKey;
using core::CheckType;
using core::Health;
using core::HealthCheck;
using core::Service;
using std::chrono::steady_clock;
using testing::HasSubstr;

HealthCheck quick_check() {
  HealthCheck check;
  check.interval = milliseconds(40);
  check.timeout = milliseconds(2000);
  check.backoff_max = milliseconds(40);
  check.rise = 1;
  check.fall = 1;
  return check;
}

class MonitorTest : public testing::Test {
 protected:
  MonitorTest() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_st>(log_);
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
    spdlog::set_pattern("%l %v");
    monitor_.emplace(io_, 1, [this] { ++changes_; });
  }
  ~MonitorTest() override { spdlog::set_default_logger(before_); }

  static Service service(std::uint16_t port, HealthCheck check,
                         std::vector<std::string> backends = {"127.0.0.1"}) {
    Service each;
    each.name = "web";
    each.vip = address("10.0.0.40");
    each.port = port;
    each.protocol = core::Protocol::tcp;
    for (const std::string& text : backends)
      each.backends.push_back({.address = address(text)});
    each.health = std::move(check);
    return each;
  }
  static BackendKey key(const std::string& at = "127.0.0.1") { return {"web", address(at), 0}; }

  Health health(const std::string& at = "127.0.0.1") const { return monitor_->health(key(at)); }
  Report report(const std::string& at = "127.0.0.1") const { return monitor_->report(key(at)); }
  bool becomes(Health health, const std::string& at = "127.0.0.1") {
    return run_until(io_, [&] { return monitor_->health(key(at)) == health; });
  }
  std::uint64_t checks(const std::string& at = "127.0.0.1") const {
    return report(at).checks_passed + report(at).checks_failed;
  }
  bool goes_on(std::uint64_t more, const std::string& at = "127.0.0.1") {
    const std::uint64_t first = checks(at);
    return run_until(io_, [&] { return checks(at) >= first + more; });
  }
  // A server that answers, which a test may take away and bring back.
  void serve() {
    server_ = std::make_unique<Server>(
        io_, [](tcp::socket&) -> asio::awaitable<void> { co_return; }, "127.0.0.1", port_);
    port_ = server_->port();
  }
  void stop_serving() { server_.reset(); }
  // Listens, takes connections on all of 127.0.0.0/8 into the kernel's queue, and says nothing.
  std::uint16_t silent_port() {
    silent_ = std::make_unique<Server>(io_, nullptr, "0.0.0.0");
    return silent_->port();
  }

  asio::io_context io_;
  std::ostringstream log_;
  std::shared_ptr<spdlog::logger> before_;
  int changes_ = 0;
  std::uint16_t port_ = 0;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Server> silent_;
  std::optional<Monitor> monitor_;
};

TEST_F(MonitorTest, FollowsABackendDownAndUp) {
  serve();
  HealthCheck check = quick_check();
  check.rise = 2;
  check.fall = 2;
  monitor_->watch({service(port_, check)}, false);
  EXPECT_EQ(health(), Health::unknown);
  ASSERT_TRUE(becomes(Health::up));
  EXPECT_TRUE(run_until(io_, [&] { return changes_ == 1; }));
  EXPECT_EQ(report().last_result, "connected");

  ASSERT_TRUE(goes_on(3));
  stop_serving();
  ASSERT_TRUE(becomes(Health::down));
  EXPECT_EQ(report().checks_failed, 2U);
  EXPECT_EQ(report().last_result, "connection refused");
  EXPECT_TRUE(run_until(io_, [&] { return changes_ == 2; }));

  const std::uint64_t passed = report().checks_passed;
  serve();
  ASSERT_TRUE(becomes(Health::up));
  EXPECT_EQ(report().checks_passed, passed + 2);
  EXPECT_TRUE(run_until(io_, [&] { return changes_ == 3; }));
  const std::string name = "backend 127.0.0.1 of web is ";
  EXPECT_EQ(log_.str(), "info " + name + "up: connected\nwarning " + name +
                            "down: connection refused\ninfo " + name + "up: connected\n");
}

TEST_F(MonitorTest, TellsAFailureWithinAnIntervalAndATimeout) {
  serve();
  HealthCheck check = quick_check();
  check.interval = check.timeout = milliseconds(300);
  check.jitter = 0;
  monitor_->watch({service(port_, check)}, true);
  ASSERT_TRUE(goes_on(2));
  const auto failed = steady_clock::now();
  stop_serving();
  ASSERT_TRUE(run_until(io_, [&] { return changes_ > 0; }));
  EXPECT_EQ(health(), Health::down);
  EXPECT_LT(steady_clock::now() - failed, check.interval + check.timeout);
}

TEST_F(MonitorTest, OneChangeIsToldForManyBackends) {
  HealthCheck check = quick_check();
  check.interval = std::chrono::seconds(5);
  std::vector<std::string> backends;
  for (int number = 1; number <= 20; ++number)
    backends.push_back(fmt::format("127.0.1.{}", number));
  const std::uint16_t port = silent_port();
  monitor_->watch({service(port, check, backends)}, false);
  ASSERT_TRUE(run_until(io_, [&] {
    return std::ranges::all_of(backends, [&](const auto& at) { return health(at) == Health::up; });
  }));
  ASSERT_TRUE(run_until(io_, [&] { return changes_ > 0; }));
  EXPECT_LT(changes_, 20);
}

TEST_F(MonitorTest, WhereNothingIsCheckedAllIsUp) {
  Service unchecked = service(1, {});
  unchecked.health.reset();
  Service other = service(1, quick_check(), {"127.0.0.2"});
  other.backends[0].state = AdminState::maintenance;
  monitor_->watch({unchecked, other}, false);
  for (const char* const at : {"127.0.0.1", "127.0.0.2", "127.0.0.3"}) {
    EXPECT_EQ(health(at), Health::up);
    EXPECT_FALSE(report(at).checked);
  }
}

TEST_F(MonitorTest, WhatIsKnownSurvivesOtherEditsAndEndsWithTheCheck) {
  serve();
  const Service before = service(port_, quick_check());
  monitor_->watch({before}, false);
  ASSERT_TRUE(becomes(Health::up));
  Service after = before;
  after.backends[0].weight = 7;
  after.backends[0].state = AdminState::drain;
  after.backends.push_back({.address = address("127.0.0.2")});
  const std::uint64_t passed = report().checks_passed;
  monitor_->watch({after}, false);
  EXPECT_EQ(health(), Health::up);
  EXPECT_EQ(report().checks_passed, passed);
  EXPECT_EQ(health("127.0.0.2"), Health::unknown);
  ASSERT_TRUE(goes_on(2));

  after.health.reset();
  monitor_->watch({after}, false);
  EXPECT_FALSE(report().checked);
  monitor_->watch({before}, false);
  EXPECT_EQ(health(), Health::unknown) << "as new";
}

TEST_F(MonitorTest, ABackendComesBackFromMaintenanceAsNew) {
  Service each = service(1, quick_check());  // nobody listens on port 1
  monitor_->watch({each}, true);
  ASSERT_TRUE(becomes(Health::down));
  each.backends[0].state = AdminState::maintenance;
  monitor_->watch({each}, false);
  EXPECT_EQ(health(), Health::up);
  each.backends[0].state = AdminState::active;
  monitor_->watch({each}, false);
  EXPECT_EQ(health(), Health::unknown);
  EXPECT_EQ(checks(), 0U);
}

TEST_F(MonitorTest, AnotherCheckTakesOverAtOnceAndTheOldOnesResultDoesNotCount) {
  HealthCheck check = quick_check();
  check.type = CheckType::http;
  check.timeout = std::chrono::hours(1);
  check.interval = std::chrono::hours(2);
  monitor_->watch({service(silent_port(), check)}, true);
  const std::size_t before = open_descriptors();
  ASSERT_TRUE(run_until(io_, [&] { return open_descriptors() > before; })) << "it hangs";
  serve();
  const std::size_t without = open_descriptors() - 1;
  monitor_->watch({service(port_, quick_check())}, true);
  EXPECT_EQ(health(), Health::up);
  ASSERT_TRUE(goes_on(3));
  EXPECT_EQ(report().checks_failed, 0U);
  EXPECT_TRUE(run_until(io_, [&] { return open_descriptors() <= without; }));
}

TEST_F(MonitorTest, AChecksPortAndABackendsOwnGoBeforeTheServices) {
  serve();
  Service each = service(1, quick_check(), {"127.0.0.1", "127.0.0.1"});
  each.backends[1].port = port_;
  monitor_->watch({each}, false);
  const BackendKey own{"web", address("127.0.0.1"), port_};
  ASSERT_TRUE(run_until(io_, [&] { return monitor_->health(own) == Health::up; }));
  ASSERT_TRUE(becomes(Health::down));
  each.health->port = port_;
  monitor_->watch({each}, false);
  ASSERT_TRUE(becomes(Health::up));
}

TEST_F(MonitorTest, EachServiceJudgesASharedBackendForItself) {
  serve();
  Service good = service(port_, quick_check());
  Service bad = good;
  bad.name = "other";
  bad.health->port = 1;
  monitor_->watch({good, bad}, false);
  const BackendKey other{"other", address("127.0.0.1"), 0};
  ASSERT_TRUE(becomes(Health::up));
  ASSERT_TRUE(run_until(io_, [&] { return monitor_->health(other) == Health::down; }));
  EXPECT_EQ(health(), Health::up);
}

TEST_F(MonitorTest, NoBackendIsCheckedTwiceAtOnceHoweverLongAChecksTakes) {
  HealthCheck check = quick_check();
  check.type = CheckType::exec;
  check.interval = milliseconds(10);
  check.jitter = 50;
  check.command = {"/bin/sleep", "0.05"};
  const std::size_t before = open_descriptors();
  monitor_->watch({service(0, check)}, false);
  std::size_t most = 0;
  const auto begun = steady_clock::now();
  ASSERT_TRUE(run_until(io_, [&] {
    most = std::max(most, open_descriptors());
    return checks() >= 10;
  }));
  EXPECT_GE(steady_clock::now() - begun, milliseconds(10 * 50));
  EXPECT_LE(most, before + 1);
}

TEST_F(MonitorTest, UnansweredConnectionsCountWhereTheyAreAskedFor) {
  serve();
  HealthCheck check = quick_check();
  check.interval = std::chrono::seconds(10);
  check.passive = 5;
  monitor_->watch({service(port_, check)}, true);
  ASSERT_TRUE(goes_on(1));
  monitor_->unanswered(key(), 4);
  EXPECT_EQ(health(), Health::up);
  monitor_->unanswered(key(), 5);
  EXPECT_EQ(health(), Health::down);
  EXPECT_TRUE(run_until(io_, [&] { return changes_ == 1; }));
  EXPECT_THAT(log_.str(), HasSubstr("is down: 5 connections in a row without an answer"));
  monitor_->unanswered(key("127.0.0.9"), 1'000'000);
  EXPECT_EQ(health("127.0.0.9"), Health::up) << "not watched";
}

TEST_F(MonitorTest, WithoutChecksABackendComesBackByItself) {
  HealthCheck check = quick_check();
  check.type = CheckType::passive;
  check.passive = 5;
  check.interval = milliseconds(100);
  monitor_->watch({service(1, check)}, false);
  EXPECT_EQ(health(), Health::up);
  const auto begun = steady_clock::now();
  monitor_->unanswered(key(), 5);
  EXPECT_EQ(health(), Health::down);
  ASSERT_TRUE(becomes(Health::up));
  EXPECT_GE(steady_clock::now() - begun, milliseconds(90));
  EXPECT_TRUE(run_until(io_, [&] { return changes_ == 2; }));
  EXPECT_EQ(checks(), 0U);
}

TEST_F(MonitorTest, ABusyThreadNeitherBlamesBackendsNorCatchesUpOnChecks) {
  serve();
  HealthCheck check = quick_check();
  check.type = CheckType::tcp;
  check.timeout = milliseconds(20);
  monitor_->watch({service(port_, check)}, true);
  ASSERT_TRUE(goes_on(1));
  for (int pause = 0; pause < 3; ++pause) {
    asio::post(io_, [] { std::this_thread::sleep_for(milliseconds(200)); });
    ASSERT_TRUE(goes_on(2));
  }
  EXPECT_EQ(report().checks_failed, 0U);
  EXPECT_LE(report().checks_passed, 9U) << "one for each missed interval";
}

TEST_F(MonitorTest, ThousandsOfSilentBackendsCostABoundedNumberOfDescriptors) {
  constexpr int kBackends = 2000;
  HealthCheck check = quick_check();
  check.type = CheckType::http;
  check.timeout = milliseconds(100);
  check.interval = check.backoff_max = std::chrono::seconds(30);
  std::vector<std::string> backends;
  for (int number = 0; number < kBackends; ++number)
    backends.push_back(fmt::format("127.1.{}.{}", number / 250, 1 + number % 250));
  const std::uint16_t port = silent_port();
  io_.poll();
  const std::size_t before = open_descriptors();
  std::size_t most = 0;
  monitor_->watch({service(port, check, backends)}, false);
  std::size_t down = 0;
  ASSERT_TRUE(run_until(io_, [&] {
    most = std::max(most, open_descriptors());
    while (down < backends.size() && health(backends[down]) == Health::down)
      ++down;
    return down == backends.size();
  }));
  EXPECT_GT(most, before + 100);
  EXPECT_LE(most, before + Monitor::kNetworkChecksMax);
  EXPECT_TRUE(run_until(io_, [&] { return open_descriptors() == before; }));

  const std::string log = log_.str();
  EXPECT_LE(std::ranges::count(log, '\n'), 200);
  EXPECT_TRUE(run_until(
      io_, [&] { return log_.str().find("lines about backends' health left out") != std::string::npos; }));
}

TEST_F(MonitorTest, ProgramsAreFewerStillAndHoldUpNoOtherCheck) {
  HealthCheck exec = quick_check();
  exec.type = CheckType::exec;
  exec.command = {"/bin/sleep", "1000"};
  exec.timeout = milliseconds(500);
  exec.interval = std::chrono::seconds(30);
  std::vector<std::string> backends;
  for (int number = 1; number <= 40; ++number)
    backends.push_back(fmt::format("127.0.2.{}", number));
  Service programs = service(0, exec, backends);
  programs.name = "programs";
  serve();
  io_.poll();
  const std::size_t before = open_descriptors();
  std::size_t most = 0;
  monitor_->watch({programs, service(port_, quick_check())}, false);
  ASSERT_TRUE(becomes(Health::up));
  EXPECT_TRUE(run_until(io_, [&] {
    most = std::max(most, open_descriptors());
    return std::ranges::all_of(backends, [&](const auto& at) {
      return monitor_->health({"programs", address(at), 0}) == Health::down;
    });
  }));
  EXPECT_GE(most, before + Monitor::kProcessChecksMax);
  EXPECT_LE(most, before + Monitor::kProcessChecksMax + 4) << "and the other service's connection";
  EXPECT_TRUE(run_until(io_, [] { return waitid(P_ALL, 0, nullptr, WEXITED | WNOHANG | WNOWAIT) != 0; }));
}

// Checks that hang, of every kind that can.
std::vector<Service> hanging(std::uint16_t silent_port) {
  std::vector<Service> services;
  for (const CheckType type : {CheckType::http, CheckType::udp, CheckType::exec}) {
    HealthCheck check = quick_check();
    check.type = type;
    check.timeout = std::chrono::hours(1);
    check.interval = std::chrono::hours(2);
    check.command = {"/bin/sleep", "1000"};
    Service each;
    each.name = core::to_string(type);
    each.port = silent_port;
    each.backends = {{.address = address("127.0.0.1")}, {.address = address("127.0.0.2")}};
    each.health = check;
    services.push_back(each);
  }
  return services;
}

TEST_F(MonitorTest, WhatIsUnderWayEndsWithTheBackendOrTheMonitor) {
  const std::uint16_t port = silent_port();
  asio::ip::udp::socket silent(io_, asio::ip::udp::endpoint(asio::ip::udp::v4(), port));
  io_.poll();
  const std::size_t before = open_descriptors();
  const auto is_clean = [&] {
    return open_descriptors() == before && waitid(P_ALL, 0, nullptr, WEXITED | WNOHANG | WNOWAIT) != 0;
  };
  for (const bool ends_monitor : {false, true}) {
    monitor_->watch(hanging(port), false);
    ASSERT_TRUE(run_until(io_, [&] { return open_descriptors() >= before + 6; }));
    if (ends_monitor)
      monitor_.reset();
    else
      monitor_->watch({}, false);
    EXPECT_TRUE(run_until(io_, is_clean));
  }
}

TEST(MonitorsEnd, MayComeWithTheIoContextsWhileChecksHang) {
  const std::size_t before = open_descriptors();
  {
    asio::io_context io;
    Server silent(io, nullptr, "0.0.0.0");
    asio::ip::udp::socket datagrams(io, asio::ip::udp::endpoint(asio::ip::udp::v4(), silent.port()));
    Monitor monitor(io, 1, [] {});
    const std::size_t without = open_descriptors();
    monitor.watch(hanging(silent.port()), false);
    ASSERT_TRUE(run_until(io, [&] { return open_descriptors() >= without + 6; }));
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_NE(waitid(P_ALL, 0, nullptr, WEXITED | WNOHANG | WNOWAIT), 0);
}

TEST_F(MonitorTest, ARandomLifeLeavesNothingBehind) {
  serve();
  io_.poll();
  const std::size_t before = open_descriptors();
  core::Random dice(13);
  for (int round = 0; round < 60; ++round) {
    std::vector<Service> services;
    for (const CheckType type : {CheckType::tcp, CheckType::http, CheckType::udp, CheckType::exec}) {
      HealthCheck check = quick_check();
      check.type = dice.next() % 4 == 0 ? CheckType::tcp : type;
      check.interval = milliseconds(1 + dice.next() % 5);
      check.timeout = milliseconds(1 + dice.next() % 10);
      check.command = {"/bin/sleep", "0.004"};
      Service each =
          service(dice.next() % 3 == 0 ? 1 : port_, check, {"127.0.0.1", "127.0.0.2", "127.0.0.3"});
      each.name = core::to_string(type);
      each.backends.resize(dice.next() % 4);
      for (core::Backend& backend : each.backends)
        backend.state = static_cast<AdminState>(dice.next() % 3);
      services.push_back(std::move(each));
    }
    monitor_->watch(services, dice.next() % 2 == 0);
    const int ran = changes_ + 3;
    run_until(
        io_, [&] { return changes_ >= ran; }, milliseconds(10));
  }
  monitor_->watch({}, false);
  EXPECT_TRUE(run_until(io_, [&] {
    return open_descriptors() <= before && waitid(P_ALL, 0, nullptr, WEXITED | WNOHANG | WNOWAIT) != 0;
  }));
}

}  // namespace
}  // namespace nfsteer::health
