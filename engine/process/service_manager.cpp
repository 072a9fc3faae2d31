#include "process/service_manager.hpp"

#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "process/log.hpp"

namespace nfsteer::process {
namespace {

// A manager whose queue is full gets this long; the control thread has more to do.
constexpr timeval kSendMax{1, 0};

std::optional<std::string> take(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  std::string copy = value;
  unsetenv(name);
  return copy;
}

std::optional<std::uint64_t> number_in(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

core::Failure wrong(const char* name, const std::string& value, const char* mend) {
  return core::system_error(name, fmt::format("'{}' is not what a service manager sets", value), mend);
}

// WATCHDOG_PID tells whom the watchdog is meant for: the variables are inherited.
core::Result<std::optional<std::chrono::microseconds>> watchdog_of(const std::optional<std::string>& usec,
                                                                   const std::optional<std::string>& pid) {
  if (!usec) return std::nullopt;
  if (pid) {
    const auto meant = number_in(*pid);
    if (!meant) return wrong("WATCHDOG_PID", *pid, "set it to a process id");
    if (*meant != static_cast<std::uint64_t>(getpid())) return std::nullopt;
  }
  const auto value = number_in(*usec);
  if (!value || *value == 0 || *value > INT64_MAX)
    return wrong("WATCHDOG_USEC", *usec, "set it to microseconds above 0");
  return std::chrono::microseconds(*value);
}

}  // namespace

core::Result<ServiceManager> ServiceManager::take_from_environment() {
  const auto socket_name = take("NOTIFY_SOCKET");
  const auto usec = take("WATCHDOG_USEC");
  const auto pid = take("WATCHDOG_PID");
  ServiceManager manager;
  if (!socket_name || socket_name->empty()) return manager;

  const bool abstract = socket_name->front() == '@';
  if ((!abstract && socket_name->front() != '/') || socket_name->size() < 2 ||
      socket_name->size() >= sizeof manager.address_.sun_path)
    return wrong("NOTIFY_SOCKET", *socket_name, "set it to a socket's path, or to @ and an abstract name");
  const auto watchdog = watchdog_of(usec, pid);
  if (!watchdog) return tl::unexpected(watchdog.error());
  manager.watchdog_ = *watchdog;

  manager.address_.sun_family = AF_UNIX;
  std::memcpy(manager.address_.sun_path, socket_name->data(), socket_name->size());
  if (abstract) manager.address_.sun_path[0] = '\0';
  // An abstract name ends where the address does, a path with a NUL.
  manager.address_bytes_ =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_name->size() + (abstract ? 0 : 1));
  manager.fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (manager.fd_ < 0) return core::system_error("NOTIFY_SOCKET", std::strerror(errno));
  setsockopt(manager.fd_, SOL_SOCKET, SO_SNDTIMEO, &kSendMax, sizeof kSendMax);
  return manager;
}

ServiceManager::ServiceManager(ServiceManager&& other) noexcept {
  *this = std::move(other);
}

ServiceManager& ServiceManager::operator=(ServiceManager&& other) noexcept {
  std::swap(fd_, other.fd_);
  address_ = other.address_;
  address_bytes_ = other.address_bytes_;
  watchdog_ = other.watchdog_;
  return *this;
}

ServiceManager::~ServiceManager() {
  if (fd_ >= 0) close(fd_);
}

void ServiceManager::ready(std::string_view status) {
  tell(fmt::format("READY=1\nSTATUS={}", status));
}

// The time tells the manager which READY=1 belongs to it (Type=notify-reload of systemd 253 and later).
void ServiceManager::reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1'000'000 + now.tv_nsec / 1000));
}

void ServiceManager::stopping() {
  tell("STOPPING=1\nSTATUS=stopping");
}

void ServiceManager::status(std::string_view status) {
  tell(fmt::format("STATUS={}", status));
}

void ServiceManager::keep_alive() {
  tell("WATCHDOG=1");
}

void ServiceManager::tell(std::string message) {
  if (!listens()) return;
  while (sendto(fd_, message.data(), message.size(), MSG_NOSIGNAL,
                reinterpret_cast<const sockaddr*>(&address_), address_bytes_) < 0) {
    if (errno == EINTR) continue;
    return log_limited(spdlog::level::warn, "the service manager cannot be told: {}", std::strerror(errno));
  }
}

}  // namespace nfsteer::process
