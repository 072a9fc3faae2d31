// Checks by programs: how they end, what they get to see, and what is left of them.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <gtest/gtest.h>
#include <linux/capability.h>

#include "health_support.hpp"

namespace nfsteer::health {
namespace {

using core::HealthCheck;

// No child of this process, dead or alive.
bool is_childless() {
  return waitid(P_ALL, 0, nullptr, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

// Gone, or dead and left to the init process of this place.
bool is_gone(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  return !(file >> number >> name >> state) || state == "Z";
}

class ExecCheck : public testing::Test {
 protected:
  ExecCheck() {
    check_.type = core::CheckType::exec;
    check_.timeout = milliseconds(10'000);
    char pattern[] = "/tmp/nfsteer-exec-XXXXXX";
    folder_ = mkdtemp(pattern);
    chmod(folder_.c_str(), 0777);  // programs run as nobody
  }
  ~ExecCheck() override {
    EXPECT_TRUE(run_until(io_, is_childless));
    std::filesystem::remove_all(folder_);
  }

  std::string run(const std::vector<std::string>& command) {
    check_.command = command;
    return text_of(result_of(io_, check_exec(target_, check_, nullptr)));
  }
  // A shell script of its own, run by its path.
  std::string script(const std::string& body, std::vector<std::string> arguments = {}) {
    const std::string path = folder_ + "/check-" + std::to_string(++scripts_);
    std::ofstream(path) << "#!/bin/sh\n" << body << '\n';
    chmod(path.c_str(), 0755);
    arguments.insert(arguments.begin(), path);
    return run(arguments);
  }
  // What a script has written into a file of the folder; 0 if nothing.
  pid_t pid_in(const std::string& name) const {
    pid_t pid = 0;
    std::ifstream(folder_ + "/" + name) >> pid;
    return pid;
  }

  asio::io_context io_;
  HealthCheck check_;
  Target target_{"web", address("10.0.0.20"), 8080};
  std::string folder_;
  int scripts_ = 0;
};

TEST_F(ExecCheck, TheExitCodeDecides) {
  EXPECT_EQ(run({"/bin/true"}), "passed: exit code 0");
  EXPECT_EQ(run({"/bin/false"}), "failed: exit code 1");
  EXPECT_EQ(script("exit 3"), "failed: exit code 3");
  EXPECT_EQ(script("kill -TERM $$"), "failed: killed by signal 15");
}

TEST_F(ExecCheck, ArgumentsArriveAsTheyAreWithoutAShell) {
  EXPECT_EQ(script(R"sh([ "$1" = '$(exit 1); *' ] && [ "$2" = "" ] && [ $# = 2 ])sh", {"$(exit 1); *", ""}),
            "passed: exit code 0");
}

TEST_F(ExecCheck, TheEnvironmentSaysWhatIsCheckedAndNothingElse) {
  setenv("NFSTEER_SECRET", "1", 1);
  EXPECT_EQ(script(R"sh([ "$NFSTEER_SERVICE" = web ] && [ "$NFSTEER_ADDRESS" = 10.0.0.20 ] &&
                      [ "$NFSTEER_PORT" = 8080 ] && [ -n "$PATH" ] &&
                      [ "$(env | grep -c NFSTEER_)" = 3 ] && [ -z "$HOME$USER" ] && [ "$(pwd)" = / ])sh"),
            "passed: exit code 0");
  unsetenv("NFSTEER_SECRET");
}

TEST_F(ExecCheck, APathThatCannotBeRunSaysWhy) {
  EXPECT_EQ(run({"/nowhere/check"}), "failed: cannot run /nowhere/check: no such file or directory");
  const std::string path = folder_ + "/data";
  std::ofstream(path) << "#!/bin/sh\n";
  EXPECT_EQ(run({path}), "failed: cannot run " + path + ": permission denied");
  chmod(path.c_str(), 0755);
  EXPECT_EQ(run({path}), "passed: exit code 0");
  std::ofstream(path) << "what is this";
  EXPECT_EQ(run({path}), "failed: cannot run " + path + ": exec format error");
}

TEST_F(ExecCheck, OutputOfAnyAmountGoesNowhere) {
  EXPECT_EQ(script("head -c 5000000 /dev/zero && head -c 5000000 /dev/zero >&2"), "passed: exit code 0");
  EXPECT_EQ(script("read line"), "failed: exit code 1") << "there is no input";
}

TEST_F(ExecCheck, AHangingProgramIsKilledInTime) {
  check_.timeout = milliseconds(200);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(script("trap '' TERM INT HUP; echo $$ > " + folder_ + "/pid; while :; do sleep 1000; done"),
            "failed: still running after 200 ms");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  EXPECT_TRUE(run_until(io_, [&] { return is_gone(pid_in("pid")); }));
}

TEST_F(ExecCheck, WhatItLeavesRunningIsKilledWithIt) {
  const std::string child = "sleep 1000 & echo $! > " + folder_ + "/child; ";
  EXPECT_EQ(script(child + "exit 0"), "passed: exit code 0");
  const pid_t left = pid_in("child");
  ASSERT_GT(left, 0);
  EXPECT_TRUE(run_until(io_, [&] { return is_gone(left); }));

  check_.timeout = milliseconds(1000);
  EXPECT_EQ(script(child + "wait"), "failed: still running after 1000 ms");
  ASSERT_NE(pid_in("child"), left);
  EXPECT_TRUE(run_until(io_, [&] { return is_gone(pid_in("child")); }));
}

TEST_F(ExecCheck, AsTheInitOfItsPlaceItReapsWhatProgramsLeave) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  for (int count = 0; count < 10; ++count)
    EXPECT_EQ(script("sleep 1000 & (sleep 1000 & sleep 1000) & exit 0"), "passed: exit code 0");
  EXPECT_TRUE(run_until(io_, is_childless));
  prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

TEST_F(ExecCheck, OtherChildrenAreNotReaped) {
  const pid_t other = fork();
  if (other == 0) _exit(7);
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(other), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(run({"/bin/true"}), "passed: exit code 0");
  int status = 0;
  EXPECT_EQ(waitpid(other, &status, WNOHANG), other);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(ExecCheck, NoDescriptorIsInheritedOrLeaked) {
  const int leaky = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  io_.poll();
  run({"/bin/true"});
  const std::size_t before = open_descriptors();
  EXPECT_EQ(run({"/usr/bin/test", "!", "-e", "/proc/self/fd/" + std::to_string(leaky)}),
            "passed: exit code 0");
  for (int count = 0; count < 20; ++count) {
    run({"/bin/true"});
    run({"/nowhere"});
  }
  EXPECT_EQ(open_descriptors(), before);
  close(leaky);
}

TEST_F(ExecCheck, SignalsAndLimitsAreThoseOfAFreshProcess) {
  signal(SIGPIPE, SIG_IGN);
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  EXPECT_EQ(script("grep -q '^SigBlk:[[:space:]]*0*$' /proc/self/status && "
                   "grep -q '^SigIgn:[[:space:]]*0*$' /proc/self/status && [ \"$(ulimit -c)\" = 0 ]"),
            "passed: exit code 0");
  sigset_t after;
  sigprocmask(SIG_SETMASK, &before, &after);
  EXPECT_TRUE(sigismember(&after, SIGTERM)) << "this process keeps its own";
  EXPECT_EQ(signal(SIGPIPE, SIG_DFL), SIG_IGN);
}

const char* const kHasNoCapabilities =
    "for set in Inh Prm Eff Amb; do grep -q \"^Cap$set:[[:space:]]*0*$\" /proc/self/status || exit 1; done; "
    "grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/self/status || exit 2; ";

TEST_F(ExecCheck, ProgramsRunAsNobodyWithoutCapabilities) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_EQ(script(std::string(kHasNoCapabilities) +
                   "[ $(id -u) = 65534 ] && [ $(id -g) = 65534 ] && [ \"$(id -G)\" = 65534 ]"),
            "passed: exit code 0");
  EXPECT_EQ(geteuid(), 0U) << "this process stays what it is";
}

// A root that may not change users, as in a container that has been left little.
class WithoutCapSetuid {
 public:
  WithoutCapSetuid() {
    syscall(SYS_capget, &header_, before_.data());
    auto less = before_;
    less[0].effective &= ~(1U << CAP_SETUID);
    less[0].permitted = before_[0].permitted;
    syscall(SYS_capset, &header_, less.data());
  }
  ~WithoutCapSetuid() { syscall(SYS_capset, &header_, before_.data()); }

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> before_{};
};

TEST_F(ExecCheck, WhereTheUserCannotBeChangedProgramsHaveNoCapabilitiesAllTheSame) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const WithoutCapSetuid less;
  EXPECT_EQ(script(std::string(kHasNoCapabilities) + "[ $(id -u) = 0 ]"), "passed: exit code 0");
  check_.timeout = milliseconds(200);
  EXPECT_EQ(script("sleep 1000"), "failed: still running after 200 ms");
}

TEST_F(ExecCheck, CanBeCancelled) {
  check_.command = {"/bin/sleep", "1000"};
  asio::cancellation_signal signal;
  bool is_over = false;
  asio::co_spawn(io_, check_exec(target_, check_, nullptr),
                 asio::bind_cancellation_slot(
                     signal.slot(), [&](const std::exception_ptr&, const CheckResult&) { is_over = true; }));
  EXPECT_FALSE(run_until(
      io_, [&] { return is_over; }, milliseconds(50)));
  EXPECT_FALSE(is_childless());
  signal.emit(asio::cancellation_type::terminal);
  EXPECT_TRUE(run_until(io_, [&] { return is_over && is_childless(); }));
}

TEST_F(ExecCheck, LeavesNothingBehindWhenTheIoContextEndsBeforeIt) {
  check_.command = {"/bin/sleep", "1000"};
  const std::size_t before = open_descriptors();
  {
    asio::io_context other;
    asio::co_spawn(other, check_exec(target_, check_, nullptr), asio::detached);
    other.poll();
    EXPECT_FALSE(is_childless());
  }
  EXPECT_TRUE(is_childless());
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace nfsteer::health
