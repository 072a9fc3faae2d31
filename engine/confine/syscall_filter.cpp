#include "confine/syscall_filter.hpp"

#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "confine/privileges.hpp"

namespace nfsteer::confine {
namespace {

// Those that an architecture does not have are passed over.
constexpr const char* kAllowed[] = {
    // memory
    "brk", "madvise", "membarrier", "memfd_create", "mincore", "mlock", "mlock2", "mmap", "mmap2", "mprotect",
    "mremap", "msync", "munlock", "munmap", "get_mempolicy",
    // files: no call that makes a link or a device, or changes an owner or a mode
    "access", "chdir", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3", "faccessat",
    "faccessat2", "fadvise64", "fallocate", "fchdir", "fcntl", "fcntl64", "fdatasync", "flock", "fstat",
    "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64", "getcwd", "getdents",
    "getdents64", "getxattr", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch",
    "_llseek", "lseek", "lstat", "lstat64", "mkdir", "mkdirat", "newfstatat", "open", "openat", "openat2",
    "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink",
    "readlinkat", "readv", "rename", "renameat", "renameat2", "rmdir", "sendfile", "sendfile64", "stat",
    "stat64", "statfs", "statfs64", "statx", "umask", "unlink", "unlinkat", "write", "writev",
    // sockets, but for socket itself
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recv",
    "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send", "sendmmsg", "sendmsg", "sendto",
    "setsockopt", "shutdown", "socketpair",
    // time, and waiting
    "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
    "clock_nanosleep_time64", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2",
    "epoll_wait", "eventfd", "eventfd2", "gettimeofday", "nanosleep", "_newselect", "pause", "pipe", "pipe2",
    "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "restart_syscall", "select", "time",
    "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times",
    // threads, and signals within this process
    "arch_prctl", "exit", "exit_group", "futex", "futex_time64", "futex_waitv", "get_robust_list", "getcpu",
    "gettid", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "rt_sigtimedwait_time64", "sched_get_priority_max", "sched_get_priority_min",
    "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_setaffinity", "sched_yield",
    "set_robust_list", "set_tid_address", "sigaltstack", "sigreturn",
    // children that have ended
    "pidfd_open", "wait4", "waitid", "waitpid",
    // who and where it is
    "capget", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups",
    "getgroups32", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrandom", "getresgid",
    "getresgid32", "getresuid", "getresuid32", "getrlimit", "getrusage", "getsid", "getuid", "getuid32",
    "sysinfo", "ugetrlimit", "uname"};

// Allowed where all bits of `mask` of an argument are those of `value`: the kernel reads 32 of them.
struct AllowedFor {
  const char* call;
  unsigned argument;
  std::uint64_t mask;
  std::uint64_t value;
};
constexpr std::uint64_t kWhole = 0xffff'ffff;
constexpr AllowedFor kAllowedFor[] = {
    {"clone", 0, CLONE_THREAD, CLONE_THREAD},
    {"socket", 0, kWhole, AF_UNIX},
    {"socket", 0, kWhole, AF_NETLINK},
    {"socket", 0, kWhole, AF_INET},
    {"socket", 0, kWhole, AF_INET6},
    {"prctl", 0, kWhole, PR_SET_NAME},
    {"prctl", 0, kWhole, PR_GET_NAME},
    {"prctl", 0, kWhole, PR_SET_TIMERSLACK},
    {"prctl", 0, kWhole, PR_GET_DUMPABLE},
    {"prctl", 0, kWhole, PR_CAPBSET_READ},
    {"prctl", 0, kWhole, 0x5356'4d41},  // PR_SET_VMA: newer C libraries name their memory
    {"prlimit64", 0, kWhole, 0},        // its own limits, which it can lower only
    {"ioctl", 1, kWhole, FIONBIO},
    {"ioctl", 1, kWhole, FIONREAD},
    {"ioctl", 1, kWhole, FIOCLEX},
    {"ioctl", 1, kWhole, FIONCLEX},
    {"ioctl", 1, kWhole, TCGETS},
    {"ioctl", 1, kWhole, TIOCGWINSZ},
};

// The last call that this list has been held against, set_mempolicy_home_node of Linux 5.17; calls have had
// the same numbers on all architectures long before that.
constexpr int kLastKnown = 450;
constexpr int kLastAsked = 600;

using Filter = std::unique_ptr<void, decltype(&seccomp_release)>;

// Zero, or a negative errno, as all of libseccomp's functions.
int add_rules(void* filter, bool refuses) {
  for (const char* each : kAllowed) {
    const int call = seccomp_syscall_resolve_name(each);
    if (call == __NR_SCMP_ERROR) continue;
    if (const int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 0, nullptr); error != 0)
      return error;
  }
  for (const AllowedFor& each : kAllowedFor) {
    const scmp_arg_cmp condition{each.argument, SCMP_CMP_MASKED_EQ, each.mask, each.value};
    const int call = seccomp_syscall_resolve_name(each.call);
    if (const int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &condition); error != 0)
      return error;
  }
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
