#include "plugin/trial.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "plugin/descriptor.hpp"
#include "plugin/file_contents.hpp"
#include "plugin/try_policy.hpp"

namespace nfsteer::plugin {
namespace {

using Clock = std::chrono::steady_clock;

// Descriptors of the new process must not be taken by what they are made from.
constexpr int kDescriptorsFrom = 10;

core::Failure cannot_try(const std::string& path, const char* what, int error) {
  return core::system_error(path, fmt::format("it cannot be tried: {}: {}", what, std::strerror(error)),
                            "nothing has been loaded");
}

// How the new process is to begin.
class Launch {
 public:
  Launch() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~Launch() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  void give(int descriptor, int as) { posix_spawn_file_actions_adddup2(&actions_, descriptor, as); }
  void silence(int descriptor) {
    posix_spawn_file_actions_addopen(&actions_, descriptor, "/dev/null", O_WRONLY, 0);
  }
  // The error is an errno; 0: it runs.
  int start(pid_t& pid, const std::string& program, std::span<const std::string> arguments) {
    std::vector<char*> pointers;
    for (const std::string& each : arguments)
      pointers.push_back(const_cast<char*>(each.c_str()));
    pointers.push_back(nullptr);
    return posix_spawn(&pid, program.c_str(), &actions_, &attributes_, pointers.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Waits until the process has ended or the time is over, and then ends it with all its children. Its wait
// status; nothing: the time was over.
std::optional<int> wait_for(pid_t pid, std::chrono::milliseconds limit) {
  const Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  const auto deadline = Clock::now() + limit;
  bool has_ended = false;
  while (process && !has_ended) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd waiting{process.number(), POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready == 0) break;
    has_ended = ready > 0;
  }
  kill(-pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return has_ended ? std::optional(status) : std::nullopt;
}

std::string read_report(int pipe) {
  std::string report;
  std::array<char, 1024> room;
  while (true) {
    const ssize_t got = read(pipe, room.data(), room.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return report;
    report.append(room.data(), static_cast<std::size_t>(got));
  }
}

std::string where(const std::string& report) {
  switch (report.empty() ? Step::loading : static_cast<Step>(report.back())) {
    case Step::creating:
      return "in create()";
    case Step::picking:
      return "in pick()";
    case Step::destroying:
      return "in destroy()";
    case Step::unloading:
      return "while it was unloaded";
    default:
      return "while it was loaded";
  }
}

std::string signal_name(int number) {
  const char* abbreviation = sigabbrev_np(number);
  return abbreviation == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", abbreviation);
}

core::Result<void> judge(const Trial& trial, std::optional<int> status, const std::string& report) {
  constexpr const char* kMend = "it was tried in a process of its own, nothing else has changed";
  const auto end = report.find_first_of("RP");
  if (end != std::string::npos && report[end] == static_cast<char>(Step::refused)) {
    const auto line = report.find('\n', end);
    return core::usage_error(trial.path, report.substr(end + 1, line - end - 1),
                             line == std::string::npos ? "" : report.substr(line + 1));
  }
  if (!status)
    return core::usage_error(
        trial.path,
        fmt::format("it did not come to an end within {} s {}", trial.limit.count() / 1000, where(report)),
        kMend);
  if (WIFSIGNALED(*status))
    return core::usage_error(
        trial.path, fmt::format("it crashed {}: {}", where(report), signal_name(WTERMSIG(*status))), kMend);
  if (end == std::string::npos)
    return core::usage_error(
        trial.path,
        fmt::format("it ended its process with exit code {} {}", WEXITSTATUS(*status), where(report)), kMend);
  return {};
}

}  // namespace

std::string trial_program() {
  constexpr const char* kSelf = "/proc/self/exe";
  std::error_code failed;
  const std::string name = std::filesystem::read_symlink(kSelf, failed).filename().string();
  // After an update " (deleted)" follows; it can be run again all the same.
  return name == "nfsteer" || name.starts_with("nfsteer ") ? kSelf : "";
}

core::Result<void> try_policy(const Trial& trial, const TrialInput& input) {
  auto told = memory_file("trial", input.encode());
  if (!told) return tl::unexpected(told.error());
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return cannot_try(trial.path, "pipe", errno);
  const Descriptor report(ends[0]);
  Descriptor write_end(ends[1]);
  // Above all numbers that they become, so that none of them is overwritten before it is used.
  Launch launch;
  std::vector<Descriptor> moved;
  const auto give = [&](int descriptor, int as) {
    moved.emplace_back(fcntl(descriptor, F_DUPFD_CLOEXEC, kDescriptorsFrom));
    launch.give(moved.back().number(), as);
  };
  give(told->number(), STDIN_FILENO);
  launch.silence(STDOUT_FILENO);
  if (trial.image) give(*trial.image, kImageDescriptor);
  give(write_end.number(), kReportDescriptor);
  const std::array<std::string, 4> arguments{"nfsteer", kTryPolicyCommand, trial.path, trial.library};
  pid_t pid = -1;
  if (const int error = launch.start(pid, trial.program, arguments); error != 0)
    return cannot_try(trial.path, trial.program.c_str(), error);
  moved.clear();
  write_end.close();
  const std::optional<int> status = wait_for(pid, trial.limit);
  return judge(trial, status, read_report(report.number()));
}

}  // namespace nfsteer::plugin
