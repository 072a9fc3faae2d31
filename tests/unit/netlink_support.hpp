// For tests that need the kernel's netlink sockets.
#pragma once

#include <sched.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "netlink/nfqueue_message.hpp"

namespace nfsteer::netlink {

// A namespace belongs to a thread, and ends with it.
inline void in_namespace(const std::function<void()>& body) {
  int failed = 0;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) != 0) {
      failed = errno;
      return;
    }
    body();
  }).join();
  if (failed != 0) GTEST_SKIP() << "cannot make a network namespace (errno " << failed << "): needs root";
}

inline BindRequest request_for(std::uint16_t queue) {
  BindRequest request;
  request.queue = queue;
  request.copy_range = 128;
  return request;
}

}  // namespace nfsteer::netlink
