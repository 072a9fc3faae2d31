// What the filter of system calls refuses. Not in sanitizers' builds: their runtimes make calls of their own,
// so that there the filter only logs.
#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>

#include "confine_filtered.hpp"

namespace nfsteer::confine {
namespace {

long raw(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  return syscall(number, a, b, c, d, e);
}

// What would lead around the rest: other processes, other programs, more rights, more of the kernel.
struct Refusal {
  const char* what;
  std::function<long()> call;
  int error = EPERM;
};

std::vector<Refusal> refusals() {
  constexpr long kStop = SIGSTOP;
  const long parent = getppid();
  return {
      {"a signal", [=] { return raw(SYS_kill, parent, 0); }},
      {"a signal to a thread", [=] { return raw(SYS_tkill, parent, 0); }},
      {"a signal to a thread of another process", [=] { return raw(SYS_tgkill, parent, parent, 0); }},
      {"a queued signal", [=] { return raw(SYS_rt_sigqueueinfo, parent, kStop); }},
      {"a signal by a pidfd", [] { return raw(SYS_pidfd_send_signal, 0, 0); }},
      {"signals to the owner of a descriptor", [=] { return raw(SYS_fcntl, 0, F_SETOWN, parent); }},
      {"signals to its other kind of owner", [] { return raw(SYS_fcntl, 0, F_SETOWN_EX); }},
      {"the choice of such a signal", [] { return raw(SYS_fcntl, 0, F_SETSIG, SIGKILL); }},
      {"the same by ioctl", [] { return raw(SYS_ioctl, 0, FIOSETOWN); }},
      {"another process's processors", [=] { return raw(SYS_sched_setaffinity, parent, 0); }},
      {"another process's limits", [=] { return raw(SYS_prlimit64, parent, RLIMIT_NOFILE); }},
      {"another process's memory", [=] { return raw(SYS_process_vm_writev, parent); }},
      {"another process's descriptors", [] { return raw(SYS_pidfd_getfd, 0, 0); }},
      {"ptrace", [=] { return raw(SYS_ptrace, PTRACE_SEIZE, parent); }},
      {"a program from a descriptor", [] { return raw(SYS_execveat, 0); }},
      {"a process", [] { return raw(SYS_clone, SIGCHLD); }},
      {"a process in a namespace of its own", [] { return raw(SYS_clone, CLONE_NEWUSER | SIGCHLD); }},
      {"flags in memory", [] { return raw(SYS_clone3, 0, 0); }, ENOSYS},
      {"a namespace", [] { return raw(SYS_unshare, CLONE_NEWUSER); }},
      {"another's namespace", [] { return raw(SYS_setns, 0, 0); }},
      {"words put into a terminal", [] { return raw(SYS_ioctl, 0, TIOCSTI); }},
      {"another personality", [] { return raw(SYS_personality, ADDR_NO_RANDOMIZE); }},
      {"being dumpable", [] { return raw(SYS_prctl, PR_SET_DUMPABLE, 1); }},
      {"capabilities beyond a change of users", [] { return raw(SYS_prctl, PR_SET_KEEPCAPS, 1); }},
      {"a filter of its own", [] { return raw(SYS_seccomp, 0, 0, 0); }},
      {"packets of every protocol", [] { return raw(SYS_socket, AF_PACKET, SOCK_RAW); }},
      {"virtual machines' sockets", [] { return raw(SYS_socket, AF_VSOCK, SOCK_STREAM); }},
      {"the kernel's ciphers", [] { return raw(SYS_socket, AF_ALG, SOCK_SEQPACKET); }},
      {"the audit log", [] { return raw(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_AUDIT); }},
      {"IPsec", [] { return raw(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_XFRM); }},
      {"generic netlink", [] { return raw(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_GENERIC); }},
      {"io_uring", [] { return raw(SYS_io_uring_setup, 1, 0); }},
      {"userfaultfd", [] { return raw(SYS_userfaultfd, 0); }},
      {"performance events", [] { return raw(SYS_perf_event_open, 0); }},
      {"BPF", [] { return raw(SYS_bpf, 0, 0); }},
      {"keys", [] { return raw(SYS_keyctl, 0); }},
      {"a module", [] { return raw(SYS_finit_module, -1); }},
      {"a mount", [] { return raw(SYS_mount, 0, 0); }},
      {"a mount of the newer kind", [] { return raw(SYS_fsopen, 0, 0); }},
      {"another root", [] { return raw(SYS_chroot, 0); }},
      {"a file without its path", [] { return raw(SYS_open_by_handle_at, -1); }},
      {"another mode", [] { return raw(SYS_fchmodat, -1, 0); }},
      {"another owner", [] { return raw(SYS_fchownat, -1, 0); }},
      {"a link", [] { return raw(SYS_linkat, -1, 0); }},
      {"a symbolic link", [] { return raw(SYS_symlinkat, 0, -1); }},
      {"a device", [] { return raw(SYS_mknodat, -1, 0); }},
      {"another user", [] { return raw(SYS_setresuid, 0, 0, 0); }},
      {"other capabilities", [] { return raw(SYS_capset, 0, 0); }},
  };
}

TEST(SyscallFilter, LeavesNoWayAround) {
  for (const Refusal& each : refusals())
    EXPECT_EQ(filtered(core::Seccomp::enforce, [&] { return errno_of(each.call()); }), each.error)
        << each.what;
}

#ifdef __x86_64__
long by_32_bit_entry(long number) {
  long result = number;
  asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
  return result;
}

// The numbers of another architecture mean other calls.
TEST(SyscallFilter, OtherArchitecturesCallsAreRefused) {
  constexpr long kX32 = 0x4000'0000, kGetpid = 20, kForkOfI386 = 2;
  EXPECT_EQ(filtered(core::Seccomp::enforce, [] { return errno_of(raw(kX32 | SYS_getpid)); }), EPERM);
  // A kernel without them ends the process.
  for (const long call : {kGetpid, kForkOfI386})
    EXPECT_THAT(filtered(core::Seccomp::enforce, [=] { return static_cast<int>(-by_32_bit_entry(call)); }),
                testing::AnyOf(EPERM, -1));
}
#endif

}  // namespace
}  // namespace nfsteer::confine
