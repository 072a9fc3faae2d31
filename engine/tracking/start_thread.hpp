// A thread, or the reason why there is none: std::thread throws.
#pragma once

#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "core/result.hpp"

namespace nfsteer::tracking {

// `name` is for the error.
template <typename Run>
core::Result<std::thread> start_thread(std::string name, Run run) {
  try {
    return std::thread(std::move(run));
  } catch (const std::system_error& error) {
    return core::system_error(std::move(name), "cannot start a thread: " + error.code().message(),
                              "raise the limit of threads (ulimit -u, or TasksMax of the systemd unit)");
  }
}

}  // namespace nfsteer::tracking
