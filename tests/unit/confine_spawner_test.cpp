// The process that runs programs for the engine, and the filter of system calls.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "confine/child_process.hpp"
#include "confine/spawner.hpp"
#include "confine/syscall_filter.hpp"

namespace nfsteer::confine {
namespace {

class SpawnerTest : public testing::Test {
 protected:
  SpawnerTest() {
    auto started = Spawner::start({"/bin/sh", {"sh", "-c"}, std::nullopt});
    EXPECT_TRUE(started);
    spawner_ = std::move(*started);
  }

  static Program shell(const std::string& script) {
    return {.path = "/bin/sh", .arguments = {"sh", "-c", script}, .environment = {"WORD=given"}};
  }
  // The wait status; -1: it could not be started.
  int status_of(const Program& program) {
    auto child = ChildProcess::start(program, spawner_.get());
    if (!child) return -1;
    const Descriptor ended(child->release_pidfd());
    pollfd waiting{ended.number(), POLLIN, 0};
    poll(&waiting, 1, 20'000);
    child->end();
    while (!child->reap())
      std::this_thread::yield();
    return child->status().value_or(-1);
  }

  std::unique_ptr<Spawner> spawner_;
};

TEST_F(SpawnerTest, ItsProgramsAreChildrenOfThisProcess) {
  EXPECT_EQ(status_of(shell("test $PPID = " + std::to_string(getpid()) + " && exit 7")), 7 << 8);
  EXPECT_EQ(status_of(shell("kill -9 $$")), SIGKILL);
}

TEST_F(SpawnerTest, TheyHaveTheEnvironmentThatIsGivenAndNoDescriptorOfOurs) {
  const Descriptor ours(open("/dev/null", O_RDONLY));  // without O_CLOEXEC
  EXPECT_EQ(
      status_of(shell("test \"$(env | grep -c .)\" -le 3 && test $WORD = given && test ! -e /proc/$$/fd/3")),
      0);
}

TEST_F(SpawnerTest, AProgramThatIsNotThereIsTheErrnoAndLeavesNoChild) {
  const auto child =
      ChildProcess::start({.path = "/nonexistent", .arguments = {"x"}, .environment = {}}, spawner_.get());
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().value(), ENOENT);
}

TEST_F(SpawnerTest, AsTheEngineItRunsOnlyWhatItWasStartedFor) {
  Program program{
      .as = Program::As::engine, .path = "/bin/false", .arguments = {"exit 5"}, .environment = {}};
  EXPECT_EQ(status_of(program), 5 << 8);
  program.arguments = {"read word && test \"$word\" = told && echo heard >&3"};
  const Descriptor told(memfd_create("told", MFD_CLOEXEC));
  const Descriptor heard(memfd_create("heard", MFD_CLOEXEC));
  ASSERT_EQ(write(told.number(), "told\n", 5), 5);
  lseek(told.number(), 0, SEEK_SET);
  program.given = {{told.number(), 0}, {heard.number(), 3}};
  EXPECT_EQ(status_of(program), 0);
  char text[6] = {};
  EXPECT_EQ(pread(heard.number(), text, 5, 0), 5);
  EXPECT_STREQ(text, "heard");
}

// Words of the loader's or of Python's would make it run other code, with the engine's rights and no filter.
TEST_F(SpawnerTest, AsTheEngineItsEnvironmentIsNotTheRequests) {
  EXPECT_EQ(status_of({.as = Program::As::engine,
                       .path = "",
                       .arguments = {"test -z \"$LD_PRELOAD$PYTHONPATH$WORD\" && test -n \"$PATH\""},
                       .environment = {"LD_PRELOAD=/nonexistent", "PYTHONPATH=/tmp", "WORD=given"}}),
            0);
}

TEST_F(SpawnerTest, NobodyIsGivenDescriptors) {
  Program program = shell("exit 0");
  program.given = {{STDIN_FILENO, 0}};
  EXPECT_EQ(status_of(program), -1);
}

TEST_F(SpawnerTest, ARequestOfMoreThanItTakesIsRefusedAndTheNextOneServed) {
  EXPECT_EQ(spawner_->launch(shell(std::string(1 << 20, 'x'))).error(), E2BIG);
  EXPECT_EQ(status_of(shell("exit 0")), 0);
}

TEST_F(SpawnerTest, ItEndsNothingThatItHasNotStarted) {
  const pid_t other = fork();
  if (other == 0) {
    setpgid(0, 0);
    pause();
    _exit(0);
  }
  setpgid(other, other);
  spawner_->end(other);
  EXPECT_EQ(kill(other, 0), 0);
  EXPECT_EQ(waitpid(other, nullptr, WNOHANG), 0);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}

TEST_F(SpawnerTest, WithoutItNoProgramIsStarted) {
  kill(spawner_->pid(), SIGKILL);
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(spawner_->pid()), &info, WEXITED | WNOWAIT);
  const auto launched = spawner_->launch(shell("exit 0"));
  ASSERT_FALSE(launched);
  EXPECT_EQ(launched.error(), EPIPE);
}

TEST_F(SpawnerTest, ItEndsWithItsOwner) {
  const pid_t pid = spawner_->pid();
  spawner_.reset();
  EXPECT_EQ(kill(pid, 0), -1);
}

// The exit code of a process with the filter.
int filtered(core::Seccomp mode, const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(install_syscall_filter(mode) ? body() : 99);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int errno_of(long result) {
  return result < 0 ? errno : 0;
}

// What a call ends with where the filter refuses it; a sanitizer's build refuses nothing.
int refused(int otherwise) {
  return kSanitized ? otherwise : EPERM;
}

TEST(SyscallFilter, RefusesWhatIsNotListed) {
  using core::Seccomp;
  EXPECT_EQ(filtered(Seccomp::enforce, [] { return errno_of(execl("/nonexistent", "x", nullptr)); }),
            refused(ENOENT));
  EXPECT_EQ(filtered(Seccomp::enforce, [] { return errno_of(kill(getppid(), 0)); }), refused(0));
  EXPECT_EQ(filtered(Seccomp::enforce, [] { return errno_of(socket(AF_PACKET, SOCK_RAW, 0)); }), refused(0));
  EXPECT_EQ(filtered(Seccomp::enforce, [] { return errno_of(syscall(599)); }), ENOSYS);
  EXPECT_EQ(filtered(Seccomp::enforce, [] { return errno_of(socket(AF_INET, SOCK_DGRAM, 0)); }), 0);
  EXPECT_EQ(filtered(Seccomp::log, [] { return errno_of(execl("/nonexistent", "x", nullptr)); }), ENOENT);
  EXPECT_EQ(filtered(Seccomp::off, [] { return errno_of(execl("/nonexistent", "x", nullptr)); }), ENOENT);
}

TEST(SyscallFilter, HighBitsOfAnArgumentThatTheKernelIgnoresChangeNothing) {
  const long high = 1L << 32;
  EXPECT_EQ(filtered(core::Seccomp::enforce,
                     [=] { return errno_of(syscall(SYS_socket, high | AF_PACKET, SOCK_RAW, 0)); }),
            refused(0));
}

TEST(SyscallFilter, ThreadsStartAndEndUnderIt) {
  EXPECT_EQ(filtered(core::Seccomp::enforce,
                     [] {
                       int seen = 1;
                       std::thread([&] { seen = 0; }).join();
                       return seen;
                     }),
            0);
}

}  // namespace
}  // namespace nfsteer::confine
