// How the system calls of the engine's process are held to those it needs (confine/syscall_filter.hpp).
#pragma once

#include <cstdint>
#include <string_view>

namespace nfsteer::core {

enum class Seccomp : std::uint8_t {
  enforce,  // others fail
  log,      // others are made, and logged by the kernel
  off,
};

constexpr std::string_view to_string(Seccomp mode) {
  switch (mode) {
    case Seccomp::enforce:
      return "enforce";
    case Seccomp::log:
      return "log";
    case Seccomp::off:
      return "off";
  }
  return "?";
}

}  // namespace nfsteer::core
