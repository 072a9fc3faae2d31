#include "confine/child_process.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <cassert>
#include <cerrno>
#include <utility>

#include "confine/spawner.hpp"

namespace nfsteer::confine {
namespace {

constexpr int kReapAttempts = 200;
constexpr timespec kReapPause{0, 1'000'000};

tl::unexpected<boost::system::error_code> failure(int error) {
  return tl::unexpected(boost::system::error_code(error, boost::system::system_category()));
}

}  // namespace

tl::expected<ChildProcess, boost::system::error_code> ChildProcess::start(const Program& program,
                                                                          Spawner* spawner) {
  assert(!program.arguments.empty());
  auto launched = spawner != nullptr ? spawner->launch(program) : launch(program);
  if (!launched) return failure(launched.error());
  const int error = launched->error;
  ChildProcess child(std::move(*launched), spawner);
  if (error != 0) return failure(error);
  return child;
}

ChildProcess::ChildProcess(Launched launched, Spawner* spawner)
    : spawner_(spawner), pid_(launched.pid), pidfd_(std::move(launched.pidfd)) {}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : spawner_(other.spawner_),
      pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      status_(other.status_) {}

ChildProcess::~ChildProcess() {
  pidfd_.close();
  end();
  for (int attempt = 0; attempt < kReapAttempts && !reap(); ++attempt)
    nanosleep(&kReapPause, nullptr);
}

int ChildProcess::release_pidfd() {
  return pidfd_.release();
}

void ChildProcess::end() {
  if (pid_ <= 0) return;
  if (spawner_ != nullptr) {
    spawner_->end(pid_);
  } else {
    kill(-pid_, SIGKILL);
  }
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

}  // namespace nfsteer::confine
