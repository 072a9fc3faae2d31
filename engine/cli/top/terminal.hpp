// The terminal as a screen: raw keys in, whole frames out, everything put back at the end. Only sequences
// that every terminal of today knows (ECMA-48; xterm's alternate screen), sent from scratch to anything that
// has a tty, so it works over ssh.
#pragma once

#include <termios.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "core/result.hpp"

namespace nfsteer::cli::top {

struct TerminalSize {
  std::size_t columns = 80;
  std::size_t lines = 24;
};

// Of a terminal; 80x24 where it does not say.
TerminalSize size_of_terminal(int fd);

// What turns a screen that shows `before` into one that shows `lines`; both from the first line on. Lines
// that do not change are left alone. `before` is empty where nothing is known of the screen.
std::string frame(const std::vector<std::string>& lines, const std::vector<std::string>& before,
                  const TerminalSize& size);

class Terminal {
 public:
  // The controlling terminal, taken over until the destructor gives it back.
  static core::Result<std::unique_ptr<Terminal>> open(boost::asio::io_context& io);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  TerminalSize size();
  // Shows the lines, at most as many as the terminal has. While it takes the frame before, only the last of
  // those that come is kept: a slow line gets fewer frames, not late ones.
  void show(std::vector<std::string> lines);
  // The next frame draws every line: the size has changed, or something else has written to the terminal.
  void forget();
  // The bytes of keys, some at least.
  boost::asio::awaitable<core::Result<std::string>> read();
  // Gives the terminal back, stops the process group as Ctrl-Z does, and takes the terminal again when it
  // goes on.
  void suspend();
  // Takes over (again), as after a stop that was not suspend()'s.
  void take();

 private:
  Terminal(boost::asio::io_context& io, int fd, const termios& before);
  void give_back();
  void write_now(std::string_view bytes);
  void write_frame();

  boost::asio::posix::stream_descriptor tty_;
  termios before_;                  // as it was found
  std::vector<std::string> shown_;  // empty: not known
  std::vector<std::string> next_;
  bool has_next_ = false;
  bool is_writing_ = false;
  std::string writing_;
  std::array<char, 1024> keys_{};
};

}  // namespace nfsteer::cli::top
