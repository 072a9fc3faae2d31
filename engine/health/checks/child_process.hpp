// A program run on a short leash: without a shell, as an own session and process group, with nothing of this
// process but its network namespace.
//
//   descriptors  /dev/null as standard input, output and error, no others
//   environment  what is given, no more; working directory /; no core dumps
//   privileges   user and group 65534 (nobody) without other groups where this process may change to them and
//                could still kill the program then (CAP_SETUID, CAP_SETGID, CAP_KILL); in any case no
//                capabilities, and no program that it runs gives it any (PR_SET_NO_NEW_PRIVS)
//   end          when this process's thread ends it is killed; what it leaves in its process group is killed
//                with it. What makes a session of its own (setsid) escapes.
//
// It is started as vfork(2) does: the packet workers' memory is neither copied nor write-protected. The
// thread stands still until the program is loaded.
//
// Only this class waits for these processes, by their group; other children are left to whoever has them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include <boost/system/error_code.hpp>
#include <tl/expected.hpp>

namespace nfsteer::health {

class ChildProcess {
 public:
  // `command`: an absolute path and arguments. Errors: errno of the step that failed.
  static tl::expected<ChildProcess, boost::system::error_code> start(
      const std::vector<std::string>& command, const std::vector<std::string>& environment);

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
  ChildProcess(pid_t pid, int pidfd) : pid_(pid), pidfd_(pidfd) {}

  pid_t pid_;  // also of the group; -1: all are gone
  int pidfd_;  // -1: taken
  std::optional<int> status_;
};

}  // namespace nfsteer::health
