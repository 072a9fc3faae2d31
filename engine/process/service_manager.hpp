// What a service's main process tells its manager: systemd's notification protocol, sd_notify(3). Datagrams
// of lines NAME=VALUE to the unix socket that NOTIFY_SOCKET names; a name that begins with @ is an abstract
// one.
//
// Where no manager listens, every call does nothing. A manager that cannot be told is a warning in the log:
// it never keeps the engine from steering.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace nfsteer::process {

class ServiceManager {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and removes them from the environment, so that no
  // child speaks for this process. While there is one thread only. The error is one of the variables.
  static core::Result<ServiceManager> take_from_environment();

  ServiceManager() = default;  // nobody listens
  ServiceManager(ServiceManager&& other) noexcept;
  ServiceManager& operator=(ServiceManager&& other) noexcept;
  ~ServiceManager();

  bool listens() const { return fd_ >= 0; }
  // How long the manager waits for keep_alive() before it takes this process for hung; none: for ever.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

  // `status` is one line for people, as `systemctl status` shows it.
  void ready(std::string_view status);  // after a start, and after each reloading()
  void reloading();
  void stopping();
  void status(std::string_view status);
  void keep_alive();

 private:
  void tell(std::string message);

  int fd_ = -1;
  sockaddr_un address_{};
  socklen_t address_bytes_ = 0;
  std::optional<std::chrono::microseconds> watchdog_;
};

}  // namespace nfsteer::process
