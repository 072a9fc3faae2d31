#include "process/run_program.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace nfsteer::process {
namespace {

constexpr std::size_t kErrorsMax = 4096;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// What the new process has as its first descriptors.
class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void put(const Fd& from, int to) { posix_spawn_file_actions_adddup2(&actions_, from.get(), to); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

core::Failure failure(const std::string& thing, const std::string& what, int error) {
  return core::system_error(thing, what + ": " + std::strerror(error));
}

// A file in memory rather than a pipe: neither side ever waits for the other, and a program that reads
// nothing sends no SIGPIPE.
core::Result<Fd> memory_file(const std::string& text) {
  Fd file(memfd_create("nfsteer", MFD_CLOEXEC));
  std::size_t written = 0;
  while (file.get() >= 0 && written < text.size()) {
    const ssize_t count = write(file.get(), text.data() + written, text.size() - written);
    if (count < 0 && errno != EINTR) return failure({}, "no memory for another program's input", errno);
    if (count > 0) written += static_cast<std::size_t>(count);
  }
  if (file.get() < 0 || lseek(file.get(), 0, SEEK_SET) < 0)
    return failure({}, "no memory for another program's input", errno);
  return file;
}

std::string beginning_of(const Fd& file) {
  std::string text(kErrorsMax, '\0');
  const ssize_t count = pread(file.get(), text.data(), text.size(), 0);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

}  // namespace

core::Result<ProgramResult> run_program(const std::vector<std::string>& command, const std::string& input,
                                        const std::string& output) {
  const auto in = memory_file(input);
  if (!in) return tl::unexpected(in.error());
  const auto errors = memory_file({});
  if (!errors) return tl::unexpected(errors.error());
  const Fd out(open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (out.get() < 0) return failure(output, "cannot be written", errno);

  FileActions actions;
  actions.put(*in, STDIN_FILENO);
  actions.put(out, STDOUT_FILENO);
  actions.put(*errors, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& each : command)
    arguments.push_back(const_cast<char*>(each.c_str()));  // execve(2) changes nothing
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (const int error = posix_spawnp(&child, arguments[0], actions.get(), nullptr, arguments.data(), environ);
      error != 0)
    return failure(command[0], "cannot be run", error);
  ProgramResult result;
  while (waitpid(child, &result.status, 0) < 0)
    if (errno != EINTR) return failure(command[0], "its end is not known", errno);
  result.errors = beginning_of(*errors);
  return result;
}

}  // namespace nfsteer::process
