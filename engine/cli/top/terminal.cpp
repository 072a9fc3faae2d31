#include "cli/top/terminal.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/format.h>

#include "cli/top/text.hpp"

namespace nfsteer::cli::top {
namespace {

namespace asio = boost::asio;

// The alternate screen, without a cursor, and without wrapping: while its size changes a line may be too
// long.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[?7l";
constexpr std::string_view kLeave = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr int kLeaveTime_ms = 1000;  // for a terminal that takes no bytes

}  // namespace

TerminalSize size_of_terminal(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

std::string frame(const std::vector<std::string>& lines, const std::vector<std::string>& before,
                  const TerminalSize& size) {
  std::string bytes;
  for (std::size_t row = 0; row < size.lines; ++row) {
    const std::string_view line = row < lines.size() ? std::string_view(lines[row]) : std::string_view();
    if (row < before.size() && before[row] == line) continue;
    bytes += fmt::format("\x1b[{};1H{}", row + 1, line);
    // Behind the last column the cursor stands on it, and would erase it.
    if (columns_of(line) < size.columns) bytes += "\x1b[K";
  }
  return bytes;
}

core::Result<std::unique_ptr<Terminal>> Terminal::open(asio::io_context& io) {
  // Opened anew: the descriptors 0 and 1 share their flags with the shell, which must not find them
  // non-blocking.
  const int fd = ::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  const auto failed = [](int error) {
    return core::system_error("terminal", std::system_category().message(error),
                              "for plain text, send the output to a pipe (`| cat`)");
  };
  if (fd < 0) return failed(errno);
  termios before{};
  if (tcgetattr(fd, &before) != 0) {
    const int error = errno;
    close(fd);
    return failed(error);
  }
  auto terminal = std::unique_ptr<Terminal>(new Terminal(io, fd, before));
  terminal->take();
  return terminal;
}

Terminal::Terminal(asio::io_context& io, int fd, const termios& before) : tty_(io, fd), before_(before) {}

Terminal::~Terminal() {
  give_back();
}

void Terminal::take() {
  termios raw = before_;
  cfmakeraw(&raw);
  tcsetattr(tty_.native_handle(), TCSANOW, &raw);
  write_now(kEnter);
  forget();
}

void Terminal::give_back() {
  write_now(kLeave);
  tcsetattr(tty_.native_handle(), TCSANOW, &before_);
}

void Terminal::suspend() {
  give_back();
  kill(0, SIGTSTP);  // goes on here after SIGCONT, or at once where no shell could continue us
  take();
}

TerminalSize Terminal::size() {
  return size_of_terminal(tty_.native_handle());
}

void Terminal::forget() {
  shown_.clear();
}

// In the middle of a frame, too: the escape that bytes begin with ends a sequence that was cut.
void Terminal::write_now(std::string_view bytes) {
  pollfd ready{tty_.native_handle(), POLLOUT, 0};
  while (!bytes.empty()) {
    const ssize_t written = ::write(ready.fd, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      if (poll(&ready, 1, kLeaveTime_ms) <= 0) return;
    } else if (errno != EINTR) {
      return;  // it is gone
    }
  }
}

void Terminal::show(std::vector<std::string> lines) {
  next_ = std::move(lines);
  has_next_ = true;
  if (!is_writing_) write_frame();
}

void Terminal::write_frame() {
  has_next_ = false;
  const TerminalSize now = size();
  writing_ = frame(next_, shown_, now);
  shown_ = std::move(next_);
  shown_.resize(now.lines);
  if (writing_.empty()) return;
  is_writing_ = true;
  asio::async_write(tty_, asio::buffer(writing_),
                    [this](const boost::system::error_code& error, std::size_t) {
                      is_writing_ = false;
                      if (!error && has_next_) write_frame();  // an error is read()'s to report
                    });
}

asio::awaitable<core::Result<std::string>> Terminal::read() {
  boost::system::error_code error;
  const std::size_t count =
      co_await tty_.async_read_some(asio::buffer(keys_), asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return core::system_error("terminal", error.message());
  co_return std::string(keys_.data(), count);
}

}  // namespace nfsteer::cli::top
