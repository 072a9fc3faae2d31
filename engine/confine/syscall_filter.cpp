#include "confine/syscall_filter.hpp"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>

#include <fmt/format.h>
#include <linux/netlink.h>

#include "confine/privileges.hpp"

namespace nfsteer::confine {
namespace {

// Those that an architecture does not have are passed over. Counted in runs of the namespace tests, unless a
// reason is given.
constexpr const char* kAllowed[] = {
    // memory; mremap: realloc() of large blocks
    "brk", "madvise", "memfd_create", "mmap", "mprotect", "mremap", "munmap",
    // files: no call that makes a link or a device, or changes an owner or a mode
    "access", "close", "flock", "getdents64", "inotify_add_watch", "lseek", "newfstatat", "openat", "read",
    "readlink", "unlink", "write",
    // sockets, but for socket itself
    "accept", "bind", "connect", "getsockname", "getsockopt", "recvfrom", "recvmsg", "sendmsg", "sendto",
    "setsockopt", "shutdown",
    // time, and waiting
    "clock_nanosleep", "epoll_ctl", "epoll_wait", "eventfd2", "pipe2", "poll", "restart_syscall",
    "timerfd_settime",
    // threads, and signals within this process; sched_yield: locks that spin; sigaltstack: handlers of
    // crashes
    "exit", "exit_group", "futex", "gettid", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "sched_yield", "set_robust_list", "sigaltstack", "wait4",
    // who and where it is
    "getegid", "geteuid", "getgid", "getpid", "getrandom", "getuid", "sysinfo",
    // where the kernel cannot tell the time without a call (virtual machines without a steady counter)
    "clock_getres", "clock_gettime", "getcpu", "gettimeofday", "time",
    // the same, as other C libraries, versions of them and architectures call it
    "accept4", "clock_getres_time64", "clock_gettime64", "clock_nanosleep_time64", "epoll_create1",
    "epoll_pwait", "faccessat", "faccessat2", "fstat", "fstat64", "fstatat64", "futex_time64", "getdents",
    "getegid32", "geteuid32", "getgid32", "getuid32", "_llseek", "lstat", "lstat64", "mmap2", "nanosleep",
    "open", "pipe", "ppoll", "ppoll_time64", "readlinkat", "recv", "send", "sigreturn", "stat", "stat64",
    "statx", "timerfd_create", "timerfd_settime64", "unlinkat", "waitid",
    // libraries' ways to do what is not always the same: the loader (pread64), streams (readv, writev),
    // resolvers (getpeername, recvmmsg, sendmmsg, uname), caches of processors (membarrier)
    "getpeername", "membarrier", "pread64", "readv", "recvmmsg", "recvmmsg_time64", "sendmmsg", "uname",
    "writev",
    // policies that compute: Python's modules write what they have compiled, look where they are, copy and
    // wait; NumPy's count processors and time themselves
    "dup", "dup2", "dup3", "fstatfs", "fsync", "ftruncate", "ftruncate64", "get_mempolicy", "getcwd",
    "getppid", "getrusage", "mkdir", "mkdirat", "_newselect", "pause", "pselect6", "pselect6_time64",
    "pwrite64", "rename", "renameat", "renameat2", "rmdir", "sched_getaffinity", "select", "socketpair",
    "statfs", "times"};

constexpr std::uint64_t kWhole = 0xffff'ffff;

// Allowed where all bits of `mask` of an argument are those of `value`, and those of another one: the kernel
// reads 32 of them.
struct AllowedFor {
  const char* call;
  unsigned argument;
  std::uint64_t value;
  std::uint64_t mask = kWhole;
  unsigned second_argument = 0;
  std::uint64_t second_value = 0;
  std::uint64_t second_mask = 0;  // 0: anything
};
constexpr AllowedFor kAllowedFor[] = {
    {"clone", 0, CLONE_THREAD, CLONE_THREAD},
    {"socket", 0, AF_UNIX},
    {"socket", 0, AF_INET},
    {"socket", 0, AF_INET6},
    {"socket", 0, AF_NETLINK, kWhole, 2, NETLINK_ROUTE, kWhole},
    {"socket", 0, AF_NETLINK, kWhole, 2, NETLINK_NETFILTER, kWhole},
    {"prctl", 0, PR_SET_NAME},
    {"prctl", 0, PR_SET_TIMERSLACK},
    {"prctl", 0, PR_GET_DUMPABLE},
    {"prctl", 0, 0x5356'4d41},  // PR_SET_VMA: newer C libraries name their memory
    {"prlimit64", 0, 0},        // its own limits, which it can lower only
    {"ioctl", 1, FIONBIO},
    {"ioctl", 1, FIOCLEX},  // Python's way to O_CLOEXEC
    {"ioctl", 1, FIONCLEX},
    {"ioctl", 1, TCGETS},
};

// Commands of fcntl, which 32-bit architectures call fcntl64. None that makes the kernel signal the owner of
// a descriptor: root may have anybody signalled so (F_SETOWN, F_SETSIG).
constexpr int kFcntlCommands[] = {F_GETFD, F_SETFD,         F_GETFL,     F_SETFL,
                                  F_DUPFD, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS};

// The last call that this list has been held against, set_mempolicy_home_node of Linux 5.17; calls have had
// the same numbers on all architectures long before that.
constexpr int kLastKnown = 450;
constexpr int kLastAsked = 600;

using Filter = std::unique_ptr<void, decltype(&seccomp_release)>;

// Zero, or a negative errno, as all of libseccomp's functions.
int allow(void* filter, const AllowedFor& what) {
  const std::array conditions{
      scmp_arg_cmp{what.argument, SCMP_CMP_MASKED_EQ, what.mask, what.value},
      scmp_arg_cmp{what.second_argument, SCMP_CMP_MASKED_EQ, what.second_mask, what.second_value}};
  const unsigned count = what.second_mask == 0 ? 1 : 2;
  const int call = seccomp_syscall_resolve_name(what.call);
  return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, count, conditions.data());
}

int add_rules(void* filter, bool refuses) {
  for (const char* each : kAllowed) {
    const int call = seccomp_syscall_resolve_name(each);
    if (call == __NR_SCMP_ERROR) continue;
    if (const int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 0, nullptr); error != 0)
      return error;
  }
  for (const AllowedFor& each : kAllowedFor)
    if (const int error = allow(filter, each); error != 0) return error;
  for (const int command : kFcntlCommands)
    for (const char* call : {"fcntl", "fcntl64"})
      if (const int error = allow(filter, {call, 1, static_cast<std::uint64_t>(command)}); error != 0)
        return error;
  // Only of the thread group's own threads: abort() and pthread_kill().
  const scmp_arg_cmp own{0, SCMP_CMP_MASKED_EQ, kWhole, static_cast<std::uint64_t>(getpid())};
  if (const int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &own); error != 0)
    return error;
  if (!refuses) return 0;
  // Its flags are in memory, where no filter sees them; C libraries take clone() instead.
  if (const int error = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, nullptr);
      error != 0)
    return error;
  for (int call = kLastKnown + 1; call <= kLastAsked; ++call)
    if (const int error = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0, nullptr);
        error != 0)
      return error;
  return 0;
}

int load(void* filter, std::uint32_t unlisted) {
  // Other architectures' calls, where the kernel knows some, are not listed either.
  int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, unlisted);
  if (error == 0) error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
  // Policies are the operator's choice, not strangers' code: no need to slow every thread down, as older
  // kernels do to filtered ones, against code that spies on its own process by speculation.
  if (error == 0) error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
  if (error == 0) error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree, not a list
  if (error == 0) error = add_rules(filter, unlisted != SCMP_ACT_LOG);
  return error == 0 ? seccomp_load(filter) : error;
}

}  // namespace

core::Result<void> install_syscall_filter(core::Seccomp mode) {
  if (mode == core::Seccomp::off) return {};
  const std::uint32_t action =
      kSanitized || mode == core::Seccomp::log ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(EPERM);
  const Filter filter(seccomp_init(action), seccomp_release);
  const int error = filter ? load(filter.get(), action) : -ENOMEM;
  if (error == 0) return {};
  return core::system_error("seccomp",
                            fmt::format("system calls cannot be filtered here: {}", std::strerror(-error)),
                            "set seccomp: off");
}

}  // namespace nfsteer::confine
