// What the engine tells a service manager, by a unix datagram socket such as systemd's.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process/service_manager.hpp"
#include "process/watchdog.hpp"

namespace nfsteer::process {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::StartsWith;

// The manager's end. `name` as in NOTIFY_SOCKET.
class Listener {
 public:
  explicit Listener(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto bytes = offsetof(sockaddr_un, sun_path) + name.size() + (name.front() == '@' ? 0 : 1);
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bound_ = bind(fd_, reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(bytes)) == 0;
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  bool bound() const { return bound_; }

  // All that has been told since the last call.
  std::vector<std::string> heard() {
    std::vector<std::string> messages;
    char message[4096];
    for (ssize_t got; (got = recv(fd_, message, sizeof message, 0)) >= 0;)
      messages.emplace_back(message, static_cast<std::size_t>(got));
    return messages;
  }

 private:
  int fd_ = -1;
  bool bound_ = false;
};

class ServiceManagerTest : public testing::Test {
 protected:
  ~ServiceManagerTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
      unsetenv(name);
    std::filesystem::remove_all(folder_);
  }

  static core::Result<ServiceManager> from(const std::string& socket, const char* usec = nullptr,
                                           const std::string& pid = {}) {
    setenv("NOTIFY_SOCKET", socket.c_str(), 1);
    if (usec != nullptr) setenv("WATCHDOG_USEC", usec, 1);
    if (!pid.empty()) setenv("WATCHDOG_PID", pid.c_str(), 1);
    return ServiceManager::take_from_environment();
  }

  std::string folder_ = [] {
    std::string name = std::filesystem::temp_directory_path() / "nfsteer-notify-XXXXXX";
    return std::string(mkdtemp(name.data()));
  }();
  std::string path_ = folder_ + "/notify";
  std::string abstract_ = "@nfsteer-test-" + std::to_string(getpid());
};

TEST_F(ServiceManagerTest, EveryStepIsOneDatagramOfAssignments) {
  Listener listener(path_);
  ASSERT_TRUE(listener.bound());
  auto manager = from(path_);
  ASSERT_TRUE(manager && manager->listens());
  manager->ready("1 service, 2 backends");
  manager->status("2 services, 4 backends");
  manager->keep_alive();
  manager->stopping();
  EXPECT_THAT(listener.heard(),
              testing::ElementsAre("READY=1\nSTATUS=1 service, 2 backends", "STATUS=2 services, 4 backends",
                                   "WATCHDOG=1", StartsWith("STOPPING=1\n")));
}

TEST_F(ServiceManagerTest, AReloadSaysWhenItBeganOnTheMonotonicClock) {
  Listener listener(path_);
  auto manager = from(path_);
  ASSERT_TRUE(manager);
  const auto now = [] {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  const auto before = now();
  manager->reloading();
  const auto after = now();
  const auto heard = listener.heard();
  ASSERT_EQ(heard.size(), 1U);
  const std::string start = "RELOADING=1\nMONOTONIC_USEC=";
  ASSERT_THAT(heard[0], StartsWith(start));
  const long long said = std::stoll(heard[0].substr(start.size()));
  EXPECT_LE(before, said);
  EXPECT_LE(said, after);
}

TEST_F(ServiceManagerTest, AnAbstractSocketIsReachedByItsAtSign) {
  Listener listener(abstract_);
  ASSERT_TRUE(listener.bound());
  auto manager = from(abstract_);
  ASSERT_TRUE(manager);
  manager->keep_alive();
  EXPECT_THAT(listener.heard(), testing::ElementsAre("WATCHDOG=1"));
}

TEST_F(ServiceManagerTest, TheVariablesAreGoneSoThatNoChildSpeaks) {
  const auto manager = from(path_, "1000000", std::to_string(getpid()));
  ASSERT_TRUE(manager);
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
    EXPECT_EQ(std::getenv(name), nullptr) << name;
}

TEST_F(ServiceManagerTest, WithoutAManagerNothingHappens) {
  auto manager = ServiceManager::take_from_environment();
  ASSERT_TRUE(manager);
  EXPECT_FALSE(manager->listens());
  EXPECT_FALSE(manager->watchdog());
  manager->ready("well");
  manager->keep_alive();
}

TEST_F(ServiceManagerTest, AManagerThatComesBackIsToldAgain) {
  auto manager = from(path_);
  ASSERT_TRUE(manager);
  manager->status("nobody hears this");
  Listener listener(path_);
  manager->status("heard");
  EXPECT_THAT(listener.heard(), testing::ElementsAre("STATUS=heard"));
}

TEST_F(ServiceManagerTest, TheWatchdogIsMeantForTheProcessItNames) {
  EXPECT_EQ(from(path_, "2500000")->watchdog(), 2500ms);
  EXPECT_EQ(from(path_, "2500000", std::to_string(getpid()))->watchdog(), 2500ms);
  EXPECT_EQ(from(path_, "2500000", std::to_string(getppid()))->watchdog(), std::nullopt);
  EXPECT_EQ(from(path_)->watchdog(), std::nullopt);
}

TEST_F(ServiceManagerTest, AVariableThatIsWrongIsNamed) {
  const auto error = [&](const std::string& socket, const char* usec = nullptr, const std::string& pid = {}) {
    const auto manager = from(socket, usec, pid);
    return manager ? std::string("accepted") : manager.error().line();
  };
  EXPECT_THAT(error("notify"), StartsWith("NOTIFY_SOCKET: 'notify'"));
  EXPECT_THAT(error("@"), StartsWith("NOTIFY_SOCKET: '@'"));
  EXPECT_THAT(error("/" + std::string(200, 'x')), StartsWith("NOTIFY_SOCKET: '/x"));
  for (const char* usec : {"0", "", "-1", "soon", "99999999999999999999"})
    EXPECT_THAT(error(path_, usec), StartsWith("WATCHDOG_USEC: ")) << usec;
  EXPECT_THAT(error(path_, "1000", "me"), StartsWith("WATCHDOG_PID: 'me'"));
}

// Virtual time from here on.
using Time = ProgressMonitor::Clock::time_point;

TEST(ProgressMonitorTest, WorkersThatCountAreWell) {
  ProgressMonitor monitor(1s);
  Time now;
  for (std::uint64_t round = 0; round < 5; ++round, now += 15s)
    EXPECT_FALSE(monitor.observe(std::vector<std::uint64_t>{round, 7 * round}, now)) << round;
}

TEST(ProgressMonitorTest, AWorkerThatStandsStillIsNamedAfterPatience) {
  ProgressMonitor monitor(1s);
  const Time start;
  EXPECT_FALSE(monitor.observe(std::vector<std::uint64_t>{1, 1}, start));
  EXPECT_FALSE(monitor.observe(std::vector<std::uint64_t>{2, 1}, start + 999ms));
  const auto stall = monitor.observe(std::vector<std::uint64_t>{3, 1}, start + 1s);
  ASSERT_TRUE(stall);
  EXPECT_EQ(stall->worker, 1U);
  EXPECT_EQ(stall->lasts, 1s);
}

TEST(ProgressMonitorTest, TheLongestStallIsTold) {
  ProgressMonitor monitor(1s);
  const Time start;
  monitor.observe(std::vector<std::uint64_t>{1, 1, 1}, start);
  monitor.observe(std::vector<std::uint64_t>{2, 1, 2}, start + 1s);
  const auto stall = monitor.observe(std::vector<std::uint64_t>{2, 1, 2}, start + 3s);
  ASSERT_TRUE(stall);
  EXPECT_EQ(stall->worker, 1U);
  EXPECT_EQ(stall->lasts, 3s);
}

TEST(ProgressMonitorTest, AWorkerThatMovesAgainIsWellAtOnce) {
  ProgressMonitor monitor(1s);
  const Time start;
  monitor.observe(std::vector<std::uint64_t>{1}, start);
  EXPECT_TRUE(monitor.observe(std::vector<std::uint64_t>{1}, start + 5s));
  EXPECT_FALSE(monitor.observe(std::vector<std::uint64_t>{2}, start + 6s));
}

// Real time, short.
class WatchdogTest : public ServiceManagerTest {
 protected:
  // Runs for `time`, or until the manager has heard something.
  std::size_t heard_within(std::chrono::milliseconds time, Listener& listener) {
    const auto end = std::chrono::steady_clock::now() + time;
    std::size_t heard = 0;
    while (heard == 0 && std::chrono::steady_clock::now() < end) {
      io_.run_for(5ms);
      heard = listener.heard().size();
    }
    return heard;
  }

  boost::asio::io_context io_;
  std::uint64_t round_ = 0;
  std::uint64_t other_ = 0;
};

TEST_F(WatchdogTest, AManagerIsToldAtHalfTheTimeItWaits) {
  Listener listener(path_);
  auto manager = from(path_, "200000");
  ASSERT_TRUE(manager);
  const Watchdog watchdog(io_, *manager, [&] { return std::vector<std::uint64_t>{++round_}; });
  EXPECT_EQ(listener.heard().size(), 1U) << "at once";
  const auto began = std::chrono::steady_clock::now();
  for (int tick = 1; tick <= 3; ++tick)
    ASSERT_EQ(heard_within(10s, listener), 1U) << tick;
  EXPECT_GE(std::chrono::steady_clock::now() - began, 290ms);
}

TEST_F(WatchdogTest, AWorkerThatHangsIsNotHidden) {
  Listener listener(path_);
  auto manager = from(path_, "100000");
  ASSERT_TRUE(manager);
  bool hangs = false;
  const Watchdog watchdog(io_, *manager, [&] {
    if (!hangs) ++round_;
    return std::vector<std::uint64_t>{round_, ++other_};
  });
  ASSERT_EQ(heard_within(10s, listener), 1U);
  hangs = true;
  const auto end = std::chrono::steady_clock::now() + Watchdog::kPatience + 200ms;
  while (std::chrono::steady_clock::now() < end)
    heard_within(10ms, listener);
  EXPECT_EQ(heard_within(600ms, listener), 0U);
  hangs = false;
  EXPECT_EQ(heard_within(10s, listener), 1U) << "what moves again is told of again";
}

TEST_F(WatchdogTest, WithoutAWatchdogTheWorkersAreNotAsked) {
  Listener listener(path_);
  auto manager = from(path_);
  ASSERT_TRUE(manager);
  const Watchdog watchdog(io_, *manager, [&] { return std::vector<std::uint64_t>{++round_}; });
  io_.run_for(20ms);
  EXPECT_EQ(round_, 0U);
  EXPECT_THAT(listener.heard(), IsEmpty());
}

}  // namespace
}  // namespace nfsteer::process
