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
  // Locks $XTABLES_LOCKFILE, or /run/xtables.lock as iptables does. Waits at most `wait`; the error names the
  // file.
  static core::Result<XtablesLock> take(std::chrono::milliseconds wait = kLockWaitMax);

  XtablesLock(XtablesLock&& other) noexcept;
  XtablesLock& operator=(XtablesLock&&) = delete;
  ~XtablesLock();

 private:
  explicit XtablesLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace nfsteer::rules
