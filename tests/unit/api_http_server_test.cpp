#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/http_server.hpp"
#include "cli/api_client.hpp"

namespace nfsteer::api {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    char pattern[] = "/tmp/nfsteer-http-XXXXXX";
    folder_ = mkdtemp(pattern);
    path_ = folder_ + "/sub/control.sock";
  }
  ~HttpServerTest() override {
    stop();
    std::filesystem::remove_all(folder_);
  }

  void serve() {
    server_ = HttpServer::listen(io_, path_, [](const HttpRequest& request) {
                return HttpResponse{200, "{\"" + request.method + "\":\"" + request.target + " " +
                                             std::to_string(request.body.size()) + "\"}"};
              }).value();
    thread_ = std::thread([this] { io_.run(); });
  }
  void stop() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
    server_.reset();
  }

  // A client of bytes, to say what no HTTP library would.
  int connect() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path_.c_str());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static std::string read_all(int fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(got));
    ::close(fd);
    return text;
  }
  std::string exchange(const std::string& bytes) const {
    const int fd = connect();
    EXPECT_GE(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), 0);
    return read_all(fd);
  }

  std::string folder_;
  std::string path_;
  boost::asio::io_context io_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

TEST_F(HttpServerTest, RequestsReachTheHandlerAndItsAnswerTheClient) {
  serve();
  const auto answer = cli::call_api(path_, "PUT", "/v1/x", "12345");
  ASSERT_TRUE(answer) << answer.error().line();
  EXPECT_EQ(answer->at("PUT").as_string(), "/v1/x 5");
}

TEST_F(HttpServerTest, TheSocketIsForOwnerAndGroup) {
  serve();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660U);
}

TEST_F(HttpServerTest, WhatIsNoHttpIsToldSo) {
  serve();
  EXPECT_THAT(exchange("what?\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, AnOversizedRequestIsRefused) {
  serve();
  const std::string length = std::to_string(HttpServer::kBodyMax + 1);
  EXPECT_THAT(exchange("PUT / HTTP/1.1\r\nContent-Length: " + length + "\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nX: " + std::string(HttpServer::kHeaderMax, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, AnIdleOrVanishingClientDisturbsNobody) {
  serve();
  const int idle = connect();
  ::close(connect());
  EXPECT_TRUE(cli::call_api(path_, "GET", "/v1/x"));
  ::close(idle);
}

TEST_F(HttpServerTest, TooManyConnectionsAreTurnedAwayAndNoLonger) {
  serve();
  std::vector<int> idle;
  for (unsigned count = 0; count < HttpServer::kConnectionsMax; ++count)
    idle.push_back(connect());
  EXPECT_EQ(read_all(connect()), "");
  for (const int fd : idle)
    ::close(fd);
  bool answered = false;
  for (int attempt = 0; attempt < 200 && !answered; ++attempt) {
    answered = cli::call_api(path_, "GET", "/v1/x").has_value();
    if (!answered) usleep(10'000);
  }
  EXPECT_TRUE(answered);
}

TEST_F(HttpServerTest, ASocketInUseIsNotTaken) {
  serve();
  boost::asio::io_context io;
  const auto second = HttpServer::listen(io, path_, {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().line(), HasSubstr("a running engine listens there"));
  EXPECT_TRUE(cli::call_api(path_, "GET", "/v1/x"));
}

TEST_F(HttpServerTest, ADeadEnginesSocketIsReplacedButNoOtherFile) {
  std::filesystem::create_directory(folder_ + "/sub");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path_.c_str());
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(dead);
  serve();
  EXPECT_TRUE(cli::call_api(path_, "GET", "/v1/x"));
  stop();
  EXPECT_FALSE(std::filesystem::exists(path_));

  std::ofstream(path_) << "precious";
  boost::asio::io_context io;
  EXPECT_FALSE(HttpServer::listen(io, path_, {}));
  EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

TEST(ApiClient, SaysThatNobodyListens) {
  const auto answer = cli::call_api("/nonexistent/control.sock", "GET", "/v1/status");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().line(),
            "control socket /nonexistent/control.sock: no engine listens there; start one with `nfsteer "
            "run`, or name its "
            "socket with --control");
}

}  // namespace
}  // namespace nfsteer::api
