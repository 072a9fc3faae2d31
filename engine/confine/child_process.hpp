// A program run on a short leash (confine/program.hpp), whoever starts it for us. It is killed when this
// process's thread ends, and what it leaves in its process group is killed with it. What makes a session of
// its own (setsid) escapes.
//
// Only this class waits for these processes, by their group; other children are left to whoever has them.
#pragma once

#include <sys/types.h>

#include <optional>

#include <boost/system/error_code.hpp>
#include <tl/expected.hpp>

#include "confine/launch.hpp"
#include "confine/program.hpp"

namespace nfsteer::confine {

class Spawner;

class ChildProcess {
 public:
  // With a `spawner`, which outlives it, that process starts the program; else this one. The calling thread
  // stands still until the program is loaded. Errors: errno of the step that failed.
  static tl::expected<ChildProcess, boost::system::error_code> start(const Program& program,
                                                                     Spawner* spawner);

  // Kills what is left and waits for it, a moment at most: end() and reap() until true before, and there is
  // nothing to wait for.
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;

  // A pidfd: readable when the program has ended. The caller's from now on; may be taken once.
  int release_pidfd();

  // Kills the whole group. Nothing happens where nothing is left of it.
  void end();

  // Takes the dead from the process table; true when all are gone. Those of the group that the program
  // leaves are this process's to reap where it is the init of a PID namespace.
  bool reap();

  // The program's wait status, once reaped (waitpid(2)).
  std::optional<int> status() const { return status_; }

 private:
  ChildProcess(Launched launched, Spawner* spawner);

  Spawner* spawner_;  // null: this process has started it
  pid_t pid_;         // also of the group; -1: all are gone
  Descriptor pidfd_;
  std::optional<int> status_;
};

}  // namespace nfsteer::confine
