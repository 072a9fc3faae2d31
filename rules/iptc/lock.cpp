#include "iptc/lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

namespace nfsteer::rules {

namespace {

std::string lock_path() {
  const char* named = std::getenv("XTABLES_LOCKFILE");
  return named != nullptr && *named != '\0' ? named : "/run/xtables.lock";
}

}  // namespace

core::Result<int> XtablesLock::open_file() {
  const std::string path = lock_path();
  const int fd = open(path.c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
  if (fd < 0) {
    return core::system_error(
        "lock " + path, std::strerror(errno),
        "make it accessible, or name another file in XTABLES_LOCKFILE for all users of iptables");
  }
  return fd;
}

core::Result<XtablesLock> XtablesLock::take(int file, std::chrono::milliseconds wait) {
  const std::string path = lock_path();
  const auto opened = file >= 0 ? core::Result<int>(file) : open_file();
  if (!opened) return tl::unexpected(opened.error());
  const int fd = *opened;
  XtablesLock lock(fd, file < 0);
  // flock() has no time limit of its own, hence the polling.
  constexpr std::chrono::milliseconds kPause{10};
  const auto deadline = std::chrono::steady_clock::now() + wait;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return core::system_error("lock " + path, std::strerror(errno));
    if (std::chrono::steady_clock::now() >= deadline) {
      return core::system_error("lock " + path,
                                "another program has held it for " + std::to_string(wait.count()) + " ms",
                                "find it with: fuser -v " + path);
    }
    std::this_thread::sleep_for(kPause);
  }
  return lock;
}

XtablesLock::XtablesLock(XtablesLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), is_own_(other.is_own_) {}

XtablesLock::~XtablesLock() {
  if (fd_ < 0) return;
  flock(fd_, LOCK_UN);
  if (is_own_) close(fd_);
}

}  // namespace nfsteer::rules
