// A log whose disk is full, or whose reader is slow or gone: nobody waits for it, and it says what it lacks.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "process/log.hpp"
#include "process/stderr_sink.hpp"

namespace nfsteer::process {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Lt;
using testing::StartsWith;

spdlog::logger log_to(int fd, config::LogFormat format = config::LogFormat::text) {
  auto sink = std::make_shared<StderrSink>(fd);
  sink->set_formatter(make_log_formatter(format, true));
  return spdlog::logger("test", std::move(sink));
}

// As a disk that is full refuses to grow: a file whose size is sealed.
class FullFile {
 public:
  explicit FullFile(off_t size) : fd_(memfd_create("log", MFD_ALLOW_SEALING)) {
    EXPECT_EQ(ftruncate(fd_, size), 0);
    EXPECT_EQ(fcntl(fd_, F_ADD_SEALS, F_SEAL_GROW), 0);
  }
  ~FullFile() { close(fd_); }
  FullFile(const FullFile&) = delete;
  FullFile& operator=(const FullFile&) = delete;

  int fd() const { return fd_; }
  void rewind() { lseek(fd_, 0, SEEK_SET); }  // there is space again
  std::string text() {
    std::array<char, 4096> bytes{};
    const ssize_t got = pread(fd_, bytes.data(), bytes.size(), 0);
    std::string all(bytes.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    return all.substr(0, all.find('\0'));
  }

 private:
  int fd_;
};

class PipeTest : public testing::Test {
 protected:
  PipeTest() {
    EXPECT_EQ(pipe2(ends_.data(), O_CLOEXEC), 0);
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~PipeTest() override {
    close(ends_[1]);
    if (ends_[0] >= 0) close(ends_[0]);
  }
  int writer() const { return ends_[1]; }
  void fill() {
    fcntl(writer(), F_SETFL, O_NONBLOCK);
    const std::string block(4096, '.');
    while (::write(writer(), block.data(), block.size()) > 0) {
    }
    fcntl(writer(), F_SETFL, 0);
  }
  std::string drain() {
    fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    std::string all;
    std::array<char, 4096> bytes{};
    for (ssize_t got = 0; (got = ::read(ends_[0], bytes.data(), bytes.size())) > 0;)
      all.append(bytes.data(), static_cast<std::size_t>(got));
    return all;
  }
  void end_reader() {
    close(ends_[0]);
    ends_[0] = -1;
  }

  std::array<int, 2> ends_{-1, -1};
};

TEST(StderrSinkTest, WhatADiskHadNoRoomForIsToldWhenItHas) {
  FullFile file(4096);  // the kernel writes page by page
  auto log = log_to(file.fd());
  log.info("first");
  for (int i = 0; i < 6; ++i)
    log.info(std::string(1000, 'x'));
  EXPECT_THAT(file.text(), StartsWith("<6>first\n<6>xxx"));
  EXPECT_THAT(file.text(), EndsWith("\n<6>" + std::string(4096 - 9 - 4 * 1004 - 3, 'x')));
  file.rewind();
  log.flush();
  EXPECT_THAT(file.text(), StartsWith("\n<4>the log lacks 2 lines that could not be written: "))
      << "the line that broke off is ended";
}

TEST_F(PipeTest, AReaderThatFallsBehindHoldsNobodyUpAndIsToldWhatItLacks) {
  auto log = log_to(writer());
  fill();
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i)
    log.warn("nobody reads this");
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_THAT(took, Lt(20 * StderrSink::kSlowReader)) << "it is waited for once, not for every line";
  EXPECT_THAT(drain(), Not(HasSubstr("nobody")));
  log.error("again");
  EXPECT_EQ(drain(),
            "<4>the log lacks 1000 lines that could not be written: Resource temporarily unavailable\n"
            "<3>again\n");
  log.error("and again");
  EXPECT_EQ(drain(), "<3>and again\n") << "each loss is told once";
}

// A pipe that others write to may fill up between poll() and write().
TEST_F(PipeTest, IsWrittenByADescriptorThatNeverWaitsBesideTheSharedOne) {
  const auto count_never_waiting = [&] {
    struct stat pipe {
    }, file{};
    EXPECT_EQ(fstat(writer(), &pipe), 0);
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd)
      count += fstat(fd, &file) == 0 && file.st_dev == pipe.st_dev && file.st_ino == pipe.st_ino &&
               (fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_WRONLY | O_NONBLOCK);
    return count;
  };
  {
    auto log = log_to(writer());
    EXPECT_EQ(count_never_waiting(), 1);
    EXPECT_EQ(fcntl(writer(), F_GETFL) & O_NONBLOCK, 0);
  }
  EXPECT_EQ(count_never_waiting(), 0);
}

TEST_F(PipeTest, OneLineIsTold) {
  auto log = log_to(writer());
  fill();
  log.info("lost");
  drain();
  log.flush();
  EXPECT_THAT(drain(), HasSubstr("the log lacks 1 line that"));
  log.flush();
  EXPECT_EQ(drain(), "");
}

TEST_F(PipeTest, ALongLineIsWrittenWhole) {
  auto log = log_to(writer());
  const std::string line(30'000, 'y');
  log.info(line);
  EXPECT_EQ(drain(), "<6>" + line + "\n");
}

TEST_F(PipeTest, AReaderThatIsGoneEndsNothing) {
  auto log = log_to(writer());
  end_reader();
  for (int i = 0; i < 100; ++i)
    log.info("lost");
}

TEST_F(PipeTest, LinesOfJsonTellItToo) {
  auto log = log_to(writer(), config::LogFormat::json);
  fill();
  log.info("lost");
  drain();
  log.info("next");
  EXPECT_THAT(drain(), HasSubstr(R"("level":"warning","message":"the log lacks 1 line that)"));
}

}  // namespace
}  // namespace nfsteer::process
