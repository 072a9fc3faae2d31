#include "confine/launch.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <linux/capability.h>

namespace nfsteer::confine {
namespace {

constexpr std::size_t kStackSize = std::size_t{64} * 1024;

// ThreadSanitizer takes a new process in the same memory for a thread of this one that ends nowhere, and sees
// no synchronization from then on: there, the memory is copied.
#if defined(__SANITIZE_THREAD__)
constexpr int kSharesMemory = 0;
#else
constexpr int kSharesMemory = CLONE_VM;
#endif
constexpr int kDescriptors = Program::kGivenMax + 1;

struct Launch {
  const char* path = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  bool as_nobody = true;
  bool change_user = false;
  unsigned uid = kNobody;
  unsigned gid = kNobody;
  const gid_t* groups = nullptr;
  std::size_t group_count = 0;
  pid_t parent = 0;                       // whose end is to be its end
  std::array<int, kDescriptors> given{};  // by number in the new process; -1: none
  int* error = nullptr;                   // errno, where the program could not be run; in shared memory
};

bool has_capabilities(std::uint32_t wanted) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & wanted) == wanted;
}

// The functions below run in the new process while it still shares this one's memory: async-signal-safe calls
// only. The user is changed by bare system calls, since those of the C library would change it for all
// threads of this process. The sanitizer does not know their stack.
#define NFSTEER_IN_CHILD __attribute__((no_sanitize("address"), noinline))

NFSTEER_IN_CHILD bool arrange_descriptors(const Launch& launch) {
  const int null = open("/dev/null", O_RDWR);
  if (null < 0) return false;
  for (int fd = 0; fd < kDescriptors; ++fd) {
    const int given = launch.given[static_cast<std::size_t>(fd)];
    const bool is_silent = fd <= (launch.as_nobody ? STDERR_FILENO : STDOUT_FILENO);
    if (given >= 0 || is_silent) {
      if (dup2(given >= 0 ? given : null, fd) < 0) return false;
    } else if (fd > STDERR_FILENO) {
      close(fd);
    }
  }
  return close_range(kDescriptors, ~0U, 0) == 0;
}

NFSTEER_IN_CHILD bool detach(const Launch& launch) {
  const rlimit no_core_dumps{0, 0};
  return setsid() >= 0 && (!launch.as_nobody || chdir("/") == 0) &&
         setrlimit(RLIMIT_CORE, &no_core_dumps) == 0 && arrange_descriptors(launch);
}

NFSTEER_IN_CHILD bool drop_privileges(const Launch& launch) {
  if (launch.change_user) {
    const bool is_changed = syscall(SYS_setgroups, launch.group_count, launch.groups) == 0 &&
                            syscall(SYS_setresgid, launch.gid, launch.gid, launch.gid) == 0 &&
                            syscall(SYS_setresuid, launch.uid, launch.uid, launch.uid) == 0;
    // Where the user namespace knows no nobody, what follows must do.
    if (!is_changed && !launch.as_nobody) return false;
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
  return syscall(SYS_capset, &header, none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0;
}

NFSTEER_IN_CHILD bool has_parent(const Launch& launch) {
  if (getppid() == launch.parent) return true;
  errno = ESRCH;  // it has ended before this process asked for the signal
  return false;
}

// By bare system calls, too: a sanitizer's versions would change what it knows of this process's handlers. A
// kernel's struct sigaction of zeros is SIG_DFL on every architecture.
NFSTEER_IN_CHILD void reset_signals() {
  constexpr std::size_t kMaskSize = NSIG / 8;
  const struct sigaction by_default {};
  for (int number = 1; number < NSIG; ++number)
    syscall(SYS_rt_sigaction, number, &by_default, nullptr, kMaskSize);  // fails for SIGKILL and SIGSTOP
  const sigset_t none{};
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, kMaskSize);
}

NFSTEER_IN_CHILD int run(void* argument) {
  auto& launch = *static_cast<Launch*>(argument);
  reset_signals();
  if (detach(launch) && drop_privileges(launch) && has_parent(launch))
    execve(launch.path, launch.arguments, launch.environment);
  *launch.error = errno;
  return 127;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts)
    result.push_back(const_cast<char*>(text.c_str()));  // execve(2) changes nothing
  result.push_back(nullptr);
  return result;
}

struct Unmap {
  void operator()(int* number) const { munmap(number, sizeof *number); }
};
using SharedNumber = std::unique_ptr<int, Unmap>;

// Null, with errno: no memory.
SharedNumber shared_number() {
  void* const at = mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return SharedNumber(at == MAP_FAILED ? nullptr : static_cast<int*>(at));
}

// No signal may run a handler of ours in the new process.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

void choose_user(Launch& launch, const Program& program, const LaunchOptions& options) {
  constexpr std::uint32_t kToChangeUser = 1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_KILL;
  launch.as_nobody = program.as == Program::As::nobody;
  launch.change_user = (launch.as_nobody || options.engine != nullptr) && has_capabilities(kToChangeUser);
  if (launch.as_nobody || options.engine == nullptr) return;
  launch.uid = options.engine->uid;
  launch.gid = options.engine->gid;
  launch.groups = options.engine->groups.data();
  launch.group_count = options.engine->groups.size();
}

}  // namespace

tl::expected<Launched, int> launch(const Program& program, const LaunchOptions& options) {
  const auto arguments = pointers(program.arguments);
  const auto variables = pointers(program.environment);
  Launch launch{program.path.c_str(), arguments.data(), variables.data()};
  choose_user(launch, program, options);
  launch.parent = options.as_sibling ? getppid() : getpid();
  launch.given.fill(-1);
  const SharedNumber not_run = shared_number();
  if (!not_run) return tl::unexpected(errno);
  launch.error = not_run.get();
  // Above all numbers that they become, so that none of them is overwritten before it is used.
  std::vector<Descriptor> moved;
  for (const Program::Given& each : program.given) {
    moved.emplace_back(fcntl(each.descriptor, F_DUPFD_CLOEXEC, kDescriptors));
    if (!moved.back()) return tl::unexpected(errno);
    launch.given.at(static_cast<std::size_t>(each.as)) = moved.back().number();
  }
  const auto stack = std::make_unique<std::byte[]>(kStackSize);
  const int parent = options.as_sibling ? CLONE_PARENT : SIGCHLD;
  int pidfd = -1;
  pid_t pid = -1;
  int error = 0;
  {
    const SignalsBlocked blocked;
    pid = clone(run, stack.get() + kStackSize, kSharesMemory | CLONE_VFORK | CLONE_PIDFD | parent, &launch,
                &pidfd);
    error = errno;
  }
  if (pid < 0) return tl::unexpected(error);
  return Launched{pid, Descriptor(pidfd), *not_run};
}

}  // namespace nfsteer::confine
