// Wakes a thread that polls (eventfd(2)).
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>

#include "core/result.hpp"
#include "netlink/netlink_handle.hpp"

namespace nfsteer::tracking {

class WakeEvent {
 public:
  // Errors: no descriptor is left.
  static core::Result<std::unique_ptr<WakeEvent>> create() {
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) return core::system_error("eventfd", netlink::describe_errno(errno));
    return std::unique_ptr<WakeEvent>(new WakeEvent(fd));
  }
  ~WakeEvent() { close(fd_); }
  WakeEvent(const WakeEvent&) = delete;
  WakeEvent& operator=(const WakeEvent&) = delete;

  int fd() const { return fd_; }  // readable from signal() to clear()
  void signal() noexcept { eventfd_write(fd_, 1); }
  void clear() noexcept {
    eventfd_t count = 0;
    eventfd_read(fd_, &count);
  }

 private:
  explicit WakeEvent(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace nfsteer::tracking
