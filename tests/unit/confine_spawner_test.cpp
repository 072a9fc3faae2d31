// The process that runs programs for the engine.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "confine/child_process.hpp"
#include "confine/spawner.hpp"

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

}  // namespace
}  // namespace nfsteer::confine
