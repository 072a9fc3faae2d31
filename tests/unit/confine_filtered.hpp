// Calls of a process of its own that has the filter of system calls.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "confine/syscall_filter.hpp"

namespace nfsteer::confine {

// The exit code of a process with the filter.
inline int filtered(core::Seccomp mode, const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(install_syscall_filter(mode) ? body() : 99);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

inline int errno_of(long result) {
  return result < 0 ? errno : 0;
}

}  // namespace nfsteer::confine
