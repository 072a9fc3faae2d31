#include "plugin/trial.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "confine/child_process.hpp"
#include "confine/descriptor.hpp"
#include "plugin/file_contents.hpp"
#include "plugin/try_policy.hpp"

namespace nfsteer::plugin {
namespace {

using Clock = std::chrono::steady_clock;

core::Failure cannot_try(const std::string& path, const char* what, int error) {
  return core::system_error(path, fmt::format("it cannot be tried: {}: {}", what, std::strerror(error)),
                            "nothing has been loaded");
}

// Waits until the process has ended or the time is over, and then ends it with all its children. Its wait
// status; nothing: the time was over.
std::optional<int> wait_for(confine::ChildProcess& child, std::chrono::milliseconds limit) {
  const confine::Descriptor process(child.release_pidfd());
  const auto deadline = Clock::now() + limit;
  bool has_ended = false;
  while (!has_ended) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd waiting{process.number(), POLLIN, 0};
    const int ready = left.count() <= 0 ? 0 : poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready == 0) break;
    has_ended = ready > 0;
  }
  child.end();
  pollfd waiting{process.number(), POLLIN, 0};
  while (!child.reap() && !child.status())
    poll(&waiting, 1, -1);
  return has_ended ? child.status() : std::nullopt;
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

std::vector<std::string> trial_arguments(core::Seccomp filter) {
  return {"nfsteer", kTryPolicyCommand, std::string(to_string(filter))};
}

std::string trial_program() {
  // After an update the file is deleted; it can be run again all the same.
  return &nfsteer_knows_trials != nullptr ? "/proc/self/exe" : "";
}

core::Result<void> try_policy(const Trial& trial, const TrialInput& input) {
  auto told = memory_file("trial", input.encode());
  if (!told) return tl::unexpected(told.error());
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return cannot_try(trial.path, "pipe", errno);
  const confine::Descriptor report(ends[0]);
  confine::Descriptor write_end(ends[1]);
  confine::Program program{.as = confine::Program::As::engine,
                           .path = trial.program,
                           .arguments = {trial.path, trial.library},
                           .environment = {}};
  program.given = {{told->number(), STDIN_FILENO}, {write_end.number(), kReportDescriptor}};
  if (trial.image) program.given.push_back({*trial.image, kImageDescriptor});
  if (trial.spawner == nullptr) {
    const auto first = trial_arguments(core::Seccomp::off);
    program.arguments.insert(program.arguments.begin(), first.begin(), first.end());
    for (char** each = environ; *each != nullptr; ++each)
      program.environment.emplace_back(*each);
  }
  auto child = confine::ChildProcess::start(program, trial.spawner);
  if (!child) return cannot_try(trial.path, trial.program.c_str(), child.error().value());
  write_end.close();
  const std::optional<int> status = wait_for(*child, trial.limit);
  return judge(trial, status, read_report(report.number()));
}

}  // namespace nfsteer::plugin
