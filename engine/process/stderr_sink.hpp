// Where the log's lines go: a descriptor that may be a terminal, a file on a disk that is full, or a pipe or
// socket whose reader is slow or gone. Logging never holds its caller up for long and never fails; what could
// not be written is said, with the number of its lines and the reason, in front of the next line that can, or
// by flush().
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string_view>

#include <spdlog/sinks/base_sink.h>

namespace nfsteer::process {

class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // What a reader that has fallen behind is waited for, once until it reads again.
  static constexpr std::chrono::milliseconds kSlowReader{100};

  // `fd` stays the caller's. On a terminal the level is coloured.
  explicit StderrSink(int fd = STDERR_FILENO);
  ~StderrSink() override;
  StderrSink(const StderrSink&) = delete;
  StderrSink& operator=(const StderrSink&) = delete;

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override;

 private:
  bool write_message(const spdlog::details::log_msg& message);
  bool write_all(std::string_view text);
  bool has_room();
  void tell_lost();

  static int without_waiting(int fd);

  int own_;  // of a pipe, else -1
  int fd_;
  bool coloured_;
  bool in_line_ = false;  // the last write ended in the middle of a line
  bool is_behind_ = false;
  std::uint64_t lost_ = 0;  // lines not written, and not told of
  int error_ = 0;           // why
};

}  // namespace nfsteer::process
