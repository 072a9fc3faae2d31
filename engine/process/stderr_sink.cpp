#include "process/stderr_sink.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fmt/format.h>
#include <spdlog/details/os.h>

namespace nfsteer::process {
namespace {

using spdlog::details::log_msg;

constexpr std::string_view kPlain = "\033[m";

std::string_view colour_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
      return "\033[1m\033[41m";
    case spdlog::level::err:
      return "\033[31m\033[1m";
    case spdlog::level::warn:
      return "\033[33m\033[1m";
    case spdlog::level::info:
      return "\033[32m";
    default:
      return "\033[36m";
  }
}

}  // namespace

// A pipe that others write to may be full again between poll() and write(), which would then wait. O_NONBLOCK
// belongs to what they share, so the pipe is opened once more. Where that cannot be, `fd` has to do.
int StderrSink::without_waiting(int fd) {
  struct stat file {};
  if (fstat(fd, &file) != 0 || !S_ISFIFO(file.st_mode)) return -1;
  return open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

StderrSink::StderrSink(int fd)
    : own_(without_waiting(fd)),
      fd_(own_ >= 0 ? own_ : fd),
      coloured_(isatty(fd) == 1 && spdlog::details::os::is_color_terminal()) {}

StderrSink::~StderrSink() {
  if (own_ >= 0) close(own_);
}

void StderrSink::sink_it_(const log_msg& message) {
  if (lost_ > 0) tell_lost();
  if (lost_ > 0 || !write_message(message)) ++lost_;
}

void StderrSink::flush_() {
  if (lost_ > 0) tell_lost();
}

void StderrSink::tell_lost() {
  const std::string text = fmt::format("the log lacks {} line{} that could not be written: {}", lost_,
                                       lost_ == 1 ? "" : "s", std::strerror(error_));
  if (write_message(log_msg({}, spdlog::level::warn, text))) lost_ = 0;
}

bool StderrSink::write_message(const log_msg& message) {
  spdlog::memory_buf_t line;
  message.color_range_start = message.color_range_end = 0;
  formatter_->format(message, line);
  const std::string_view all(line.data(), line.size());
  const std::size_t begins = message.color_range_start, ends = message.color_range_end;
  std::string text = in_line_ ? "\n" : "";
  if (coloured_ && ends > begins)
    text.append(all.substr(0, begins))
        .append(colour_of(message.level))
        .append(all.substr(begins, ends - begins))
        .append(kPlain)
        .append(all.substr(ends));
  else
    text.append(all);
  return write_all(text);
}

bool StderrSink::write_all(std::string_view text) {
  while (!text.empty()) {
    if (!has_room()) {
      error_ = EAGAIN;
      return false;
    }
    // A pipe that has room at all takes this much at once.
    const ssize_t written = ::write(fd_, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      error_ = errno;
      return false;
    }
    in_line_ = text[static_cast<std::size_t>(written) - 1] != '\n';
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool StderrSink::has_room() {
  pollfd target{.fd = fd_, .events = POLLOUT, .revents = 0};
  const int ready = poll(&target, 1, is_behind_ ? 0 : static_cast<int>(kSlowReader.count()));
  is_behind_ = ready == 0;
  return !is_behind_;  // whatever else is wrong, write() says it
}

}  // namespace nfsteer::process
