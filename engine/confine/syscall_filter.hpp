// The system calls that the engine's process may make (seccomp(2)): those that it, the C library, Python and
// a policy that computes need. Whatever runs in it, a policy of a user too, then cannot run or trace
// programs, fork, signal others, mount, load modules, change users, owners and modes, or open sockets of
// other kinds than unix, netlink, IPv4 and IPv6.
//
// What is not listed fails with EPERM, and nobody is killed: a library that asks for something else goes
// another way or says so. Calls that are newer than the list fail with ENOSYS, as on an older kernel, so that
// a newer C library falls back on what it used before.
#pragma once

#include "core/result.hpp"
#include "core/seccomp.hpp"

namespace nfsteer::confine {

// For all threads of this process and its children; nothing takes it back, and PR_SET_NO_NEW_PRIVS is set.
// In a build with a sanitizer, calls are logged at most. Errors: the kernel has no such filters.
core::Result<void> install_syscall_filter(core::Seccomp mode);

}  // namespace nfsteer::confine
