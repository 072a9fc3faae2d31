// The lock that all users of the legacy tables take around read, change and commit. The kernel itself notices
// another writer only where the number of rules has changed meanwhile; with the same number a commit
// overwrites his work.
#pragma once

#include <chrono>

#include "core/result.hpp"

namespace nfsteer::rules {

inline constexpr std::chrono::milliseconds kLockWaitMax{5000};

class XtablesLock {
 public:
  // $XTABLES_LOCKFILE, or /run/xtables.lock as iptables has it, which is root's and made if need be: a
  // descriptor of the caller's, for a process that will not be root any more. Errors name the file.
  static core::Result<int> open_file();

  // Locks `file`, which is the caller's and open; -1: opens it. Waits at most `wait`; errors name the file.
  static core::Result<XtablesLock> take(int file = -1, std::chrono::milliseconds wait = kLockWaitMax);

  XtablesLock(XtablesLock&& other) noexcept;
  XtablesLock& operator=(XtablesLock&&) = delete;
  ~XtablesLock();

 private:
  XtablesLock(int fd, bool is_own) : fd_(fd), is_own_(is_own) {}
  int fd_;
  bool is_own_;  // closed at the end
};

}  // namespace nfsteer::rules
