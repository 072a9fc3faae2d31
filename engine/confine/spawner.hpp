// The process that runs programs for the engine: health checks of type exec, and trials of policies. It is
// forked before the engine gives up its privileges, so that the engine itself needs neither the capabilities
// to make a program nobody's and to kill it then, nor the system calls to run one.
//
//   engine  CAP_NET_ADMIN, CAP_NET_RAW             filtered, cannot fork or exec
//     |  a socket pair: requests, answers
//   spawner CAP_SETUID, CAP_SETGID, CAP_KILL       listens to nobody but the engine
//     |  starts
//   programs, without capabilities                 children of the engine (CLONE_PARENT), which waits for
//   them
//
// What may be asked of it: any program as nobody; one program, given at its start, as the engine's user; the
// end of what it has started and what has not been reaped. It ends when the engine does.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "confine/descriptor.hpp"
#include "confine/launch.hpp"
#include "confine/program.hpp"
#include "core/result.hpp"

namespace nfsteer::confine {

class Spawner {
 public:
  struct Options {
    // What Program::As::engine runs, whatever a request says: this path, and these before its arguments.
    std::string path;
    std::vector<std::string> arguments;
    std::optional<User> engine;  // whom the engine becomes; none: it stays who it is
  };
  // Forks: while there is one thread only. The new process has the environment, the working directory and the
  // standard error of this one.
  static core::Result<std::unique_ptr<Spawner>> start(const Options& options);

  // Waits for the process to end: what it has started must have ended before.
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  // As launch(). For Program::As::engine, path, environment and the first arguments are those of the options.
  // The error is an errno: E2BIG where the program's words are more than a request may have, EPIPE where the
  // process has ended.
  tl::expected<Launched, int> launch(const Program& program);

  // Kills the process group of a program that is not reaped yet, and is one of this spawner's.
  void end(pid_t group);

  pid_t pid() const { return pid_; }

 private:
  Spawner(pid_t pid, Descriptor socket) : pid_(pid), socket_(std::move(socket)) {}
  pid_t pid_;
  Descriptor socket_;
};

}  // namespace nfsteer::confine
