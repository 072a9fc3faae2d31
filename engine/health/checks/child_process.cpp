#include "health/checks/child_process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <linux/capability.h>

namespace nfsteer::health {
namespace {

constexpr unsigned kNobody = 65534;
constexpr std::size_t kStackSize = std::size_t{64} * 1024;
constexpr int kReapAttempts = 200;
constexpr timespec kReapPause{0, 1'000'000};

struct Launch {
  const char* path = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  bool change_user = false;
  int error = 0;  // errno, where the program could not be run
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

NFSTEER_IN_CHILD bool detach() {
  const rlimit no_core_dumps{0, 0};
  if (setsid() < 0 || chdir("/") != 0 || setrlimit(RLIMIT_CORE, &no_core_dumps) != 0) return false;
  const int null = open("/dev/null", O_RDWR);
  if (null < 0) return false;
  for (int fd = 0; fd <= 2; ++fd)
    if (dup2(null, fd) < 0) return false;
  return close_range(3, ~0U, 0) == 0;
}

NFSTEER_IN_CHILD bool drop_privileges(bool change_user) {
  if (change_user) {  // where the user namespace knows no such user, what follows must do
    syscall(SYS_setgroups, 0, nullptr);
    syscall(SYS_setresgid, kNobody, kNobody, kNobody);
    syscall(SYS_setresuid, kNobody, kNobody, kNobody);
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
  return syscall(SYS_capset, &header, none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0;
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
  if (detach() && drop_privileges(launch.change_user))
    execve(launch.path, launch.arguments, launch.environment);
  launch.error = errno;
  return 127;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts)
    result.push_back(const_cast<char*>(text.c_str()));  // execve(2) changes nothing
  result.push_back(nullptr);
  return result;
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

}  // namespace

tl::expected<ChildProcess, boost::system::error_code> ChildProcess::start(
    const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  assert(!command.empty());
  const auto arguments = pointers(command);
  const auto variables = pointers(environment);
  constexpr std::uint32_t kToChangeUser = 1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_KILL;
  Launch launch{command.front().c_str(), arguments.data(), variables.data(), has_capabilities(kToChangeUser)};

  const auto stack = std::make_unique<std::byte[]>(kStackSize);
  int pidfd = -1;
  pid_t pid = -1;
  int error = 0;
  {
    const SignalsBlocked blocked;
    pid =
        clone(run, stack.get() + kStackSize, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &launch, &pidfd);
    error = errno;
  }
  if (pid < 0) return tl::unexpected(boost::system::error_code(error, boost::system::system_category()));
  ChildProcess child(pid, pidfd);
  if (launch.error != 0)
    return tl::unexpected(boost::system::error_code(launch.error, boost::system::system_category()));
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::exchange(other.pidfd_, -1)), status_(other.status_) {}

ChildProcess::~ChildProcess() {
  if (pidfd_ >= 0) close(pidfd_);
  end();
  for (int attempt = 0; attempt < kReapAttempts && !reap(); ++attempt)
    nanosleep(&kReapPause, nullptr);
}

int ChildProcess::release_pidfd() {
  return std::exchange(pidfd_, -1);
}

void ChildProcess::end() {
  if (pid_ > 0) kill(-pid_, SIGKILL);
}

bool ChildProcess::reap() {
  while (pid_ > 0) {
    int status = 0;
    const pid_t dead = waitpid(-pid_, &status, WNOHANG);
    if (dead == 0) return false;
    if (dead == pid_) status_ = status;
    if (dead < 0 && errno != EINTR) pid_ = -1;
  }
  return true;
}

}  // namespace nfsteer::health
