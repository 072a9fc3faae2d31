#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/http_server.hpp"
#include "cli/api_client.hpp"

namespace nfsteer::api {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{20};  // longer than any test may wait

// A client of bytes, to say what no HTTP library would, and to say it slowly.
class RawClient {
 public:
  explicit RawClient(int fd) : fd_(fd) {
    const timeval limit{kPatience.count(), 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  RawClient(RawClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient() {
    if (fd_ >= 0) ::close(fd_);
  }

  // How many bytes the server took.
  std::size_t send(std::string_view bytes) const {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t took = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (took < 0) break;
      sent += static_cast<std::size_t>(took);
    }
    return sent;
  }
  void end() const { ::shutdown(fd_, SHUT_WR); }
  // Until the text holds `part` so often, or the server ends.
  std::string read_until(std::string_view part, std::size_t times = 1) const {
    std::string text;
    char buffer[65536];
    std::size_t seen = 0, from = 0;
    while (seen < times) {
      const ssize_t got = ::read(fd_, buffer, sizeof buffer);
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
      for (std::size_t at; seen < times && (at = text.find(part, from)) != std::string::npos; ++seen)
        from = at + part.size();
    }
    return text;
  }
  std::string read_all() const { return read_until("\1\2\3 never"); }

 private:
  int fd_;
};

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

  // Says what it was asked; /big/N answers N bytes.
  static HttpResponse answer(const HttpRequest& request) {
    if (request.target.starts_with("/big/"))
      return {200, std::string(std::stoul(request.target.substr(5)), 'x')};
    return {200, "{\"" + request.method + "\":\"" + request.target + " " +
                     std::to_string(request.body.size()) + (request.read_only ? " read-only" : "") + "\"}"};
  }
  void serve(const HttpLimits& limits = {}, const std::string& group = {}) {
    server_ = HttpServer::listen(io_, path_, answer, group, limits).value();
    thread_ = std::thread([this] { io_.run(); });
  }
  void serve_tcp(const HttpLimits& limits = {}) {
    server_ =
        HttpServer::listen_tcp(io_, core::IpAddress::parse("127.0.0.1").value(), 0, answer, limits).value();
    thread_ = std::thread([this] { io_.run(); });
  }
  void stop() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
    server_.reset();
  }

  RawClient connect() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path_.c_str());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return RawClient(fd);
  }
  RawClient connect_tcp() const {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return RawClient(fd);
  }
  // All that the server says to these bytes, on a connection of their own. It must end that itself.
  std::string exchange(const std::string& bytes) const {
    const RawClient client = connect();
    client.send(bytes);
    return client.read_all();
  }
  void expect_service(const char* when) const {
    const auto answered = cli::call_api(path_, "GET", "/v1/x");
    EXPECT_TRUE(answered) << when << ": " << (answered ? "" : answered.error().line());
  }

  std::string folder_;
  std::string path_;
  boost::asio::io_context io_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

milliseconds since(steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
}

const std::string kGet = "GET /v1/x HTTP/1.1\r\n\r\n";
const std::string kGetAndClose = "GET /v1/x HTTP/1.1\r\nConnection: close\r\n\r\n";

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

TEST_F(HttpServerTest, TheSocketBelongsToTheGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give a file away";
  serve({}, "daemon");
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660U);
  EXPECT_EQ(status.st_gid, ::getgrnam("daemon")->gr_gid);
}

TEST_F(HttpServerTest, AnUnknownGroupIsOneErrorAndLeavesNothing) {
  const auto server = HttpServer::listen(io_, path_, answer, "no-such-group");
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().line(), "control socket " + path_ +
                                       ": there is no group \"no-such-group\" on this system; make it with "
                                       "groupadd, or name another one");
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(HttpServerTest, WhatIsNoHttpIsToldSo) {
  serve();
  using namespace std::string_literals;
  for (const std::string& bytes : {
           "what?\r\n\r\n"s,
           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"s,
           "\x16\x03\x01\x02\x00\x01\x00"s,  // TLS: no empty line will follow
           "\x16"s,
           "\0\0\0\0"s,
           "GET /v1/\0x HTTP/1.1\r\n\r\n"s,
           "GET /v1/x HTTP/1.1\r\nX: a\0b\r\n\r\n"s,
           "GET /v1/x HTTP/1.1\r\nContent-Length: -1\r\n\r\n"s,
           "GET /v1/x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"s,
           "GET /v1/x HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n"s,
           "PUT /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"s,
           "PUT /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n"s,
           "PUT /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"s,
       }) {
    const auto start = steady_clock::now();
    EXPECT_THAT(exchange(bytes), StartsWith("HTTP/1.1 400 ")) << bytes;
    EXPECT_LT(since(start), HttpLimits{}.request) << "at once: " << bytes;
  }
  expect_service("after all that");
}

TEST_F(HttpServerTest, AnOversizedRequestIsRefused) {
  serve();
  const std::string length = std::to_string(HttpLimits{}.body + 1);
  EXPECT_THAT(exchange("PUT / HTTP/1.1\r\nContent-Length: " + length + "\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(exchange("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n" +
                       std::string(HttpLimits{}.body + 1, 'x')),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nX: " + std::string(HttpLimits{}.header, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, AClientThatGoesOnSendingStillReadsWhyItIsRefused) {
  serve_tcp();
  const RawClient client = connect_tcp();
  const std::string request = "GET / HTTP/1.1\r\nX: " + std::string(std::size_t{8} << 20, 'x') + "\r\n\r\n";
  EXPECT_EQ(client.send(request), request.size()) << "more than all buffers on the way hold";
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, ABodyOfTheLargestServiceFits) {
  serve();
  const auto answered = cli::call_api(path_, "PUT", "/v1/x", std::string(HttpLimits{}.body, ' '));
  ASSERT_TRUE(answered) << answered.error().line();
  EXPECT_EQ(answered->at("PUT").as_string(), "/v1/x " + std::to_string(HttpLimits{}.body));
}

TEST_F(HttpServerTest, AChunkedBodyIsPutTogether) {
  serve();
  EXPECT_THAT(exchange("PUT /v1/x HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nTrailer: t\r\n\r\n"),
              HasSubstr("/v1/x 5"));
}

TEST_F(HttpServerTest, ABodyShorterThanAnnouncedIsAnErrorAndALongerOneIsNoRequest) {
  serve();
  const RawClient shorter = connect();
  shorter.send("PUT /v1/x HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
  shorter.end();
  EXPECT_THAT(shorter.read_all(), StartsWith("HTTP/1.1 400 "));
  const std::string longer = exchange("PUT /v1/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcdef\r\n\r\n");
  EXPECT_THAT(longer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(longer, HasSubstr("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, AClientThatAsksBeforeItSendsItsBodyIsToldToGoOn) {
  serve();
  const RawClient client = connect();
  client.send("PUT /v1/x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("12345");
  EXPECT_THAT(client.read_until("/v1/x 5"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(exchange("PUT /v1/x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, AnHttp10ClientIsAnsweredAndLeft) {
  serve();
  const std::string answered = exchange("GET /v1/x HTTP/1.0\r\n\r\n");
  EXPECT_THAT(answered, StartsWith("HTTP/1.0 200 "));
  EXPECT_THAT(answered, EndsWith("{\"GET\":\"/v1/x 0\"}"));
}

TEST_F(HttpServerTest, AHeadIsAnsweredLikeAGetWithoutItsBody) {
  serve();
  const std::string answered = exchange("HEAD /v1/x HTTP/1.1\r\n\r\n" + kGetAndClose);
  EXPECT_THAT(answered, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answered, HasSubstr("Content-Length: 17\r\n\r\nHTTP/1.1 200 "));
}

TEST_F(HttpServerTest, ThousandsOfRequestsAtOnceAreAnsweredInTurnWithOthers) {
  serve();
  constexpr std::size_t kRequests = 5000;
  const RawClient client = connect();
  std::string text;
  std::thread reader([&] { text = client.read_until("/v1/x 0", kRequests); });
  std::string requests;
  for (std::size_t i = 0; i < kRequests; ++i)
    requests += kGet;
  EXPECT_EQ(client.send(requests), requests.size());
  expect_service("in between");
  reader.join();
  std::size_t answers = 0;
  for (std::size_t at = 0; (at = text.find("HTTP/1.1 200 ", at)) != std::string::npos; ++at)
    ++answers;
  EXPECT_EQ(answers, kRequests);
}

TEST_F(HttpServerTest, ARequestThatNeverEndsIsCutOff) {
  HttpLimits limits;
  limits.request = milliseconds(300);
  serve(limits);
  const RawClient client = connect();
  const auto start = steady_clock::now();
  client.send("GET /v1/x HTTP/1.1\r\nX: ");
  while (client.send("x") == 1 && since(start) < milliseconds(15'000))
    std::this_thread::sleep_for(milliseconds(20));
  EXPECT_GE(since(start), limits.request);
  EXPECT_LT(since(start), milliseconds(10'000));
}

TEST_F(HttpServerTest, ASilentClientIsCutOff) {
  HttpLimits limits;
  limits.idle = milliseconds(200);
  serve(limits);
  const auto start = steady_clock::now();
  EXPECT_EQ(connect().read_all(), "");
  EXPECT_GE(since(start), limits.idle);
  const RawClient asked_once = connect();
  asked_once.send(kGet);
  EXPECT_THAT(asked_once.read_all(), EndsWith("/v1/x 0\"}"));
  EXPECT_LT(since(start), kPatience) << "the server ended both";
}

TEST_F(HttpServerTest, AClientThatDoesNotReadIsCutOffAndDelaysNobody) {
  HttpLimits limits;
  limits.answer = milliseconds(500);
  serve(limits);
  constexpr std::size_t kSize = std::size_t{16} << 20;
  const RawClient client = connect();
  client.send("GET /big/" + std::to_string(kSize) + " HTTP/1.1\r\n\r\n");
  expect_service("while an answer is not read");
  std::this_thread::sleep_for(2 * limits.answer);
  EXPECT_LT(client.read_all().size(), kSize);
}

TEST_F(HttpServerTest, AnswersThatNobodyReadsDoNotFillTheMemory) {
  HttpLimits limits;
  constexpr std::size_t kSize = std::size_t{4} << 20;
  limits.unsent = 3 * kSize + 1000;  // three of them and a small one
  serve(limits);
  std::vector<RawClient> clients;
  for (int count = 0; count < 6; ++count) {
    clients.push_back(connect());
    clients.back().send("GET /big/" + std::to_string(kSize) + " HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect_service("its turn comes after that answer has been made");
  }
  for (std::size_t i = 0; i < clients.size(); ++i) {
    const std::size_t got = clients[i].read_all().size();
    EXPECT_EQ(got >= kSize, i >= 3) << "client " << i << " read " << got;
  }
}

TEST_F(HttpServerTest, AVanishingClientDisturbsNobody) {
  serve();
  for (int count = 0; count < 100; ++count) {
    const RawClient client = connect();
    client.send(count % 2 == 0 ? "GET /v1/" : "GET /big/1000000 HTTP/1.1\r\n\r\n");
  }
  expect_service("afterwards");
}

TEST_F(HttpServerTest, SilentClientsMakeRoomForOthersAndABusyOneKeepsItsPlace) {
  HttpLimits limits;
  limits.patience = milliseconds(300);
  serve(limits);
  std::vector<RawClient> silent;
  const RawClient busy = connect();
  for (unsigned count = 1; count < limits.connections; ++count)
    silent.push_back(connect());
  const auto start = steady_clock::now();
  for (int count = 0; count < 10; ++count) {
    busy.send(kGet);
    EXPECT_THAT(busy.read_until("/v1/x 0"), StartsWith("HTTP/1.1 200 "));
    expect_service("though all places are taken");
  }
  EXPECT_LT(since(start), milliseconds(10'000));
}

TEST_F(HttpServerTest, MoreClientsAtOnceThanThereArePlacesAreAllAnswered) {
  serve();
  std::vector<RawClient> clients;
  for (unsigned count = 0; count < 3 * HttpLimits{}.connections; ++count) {
    clients.push_back(connect());
    clients.back().send(kGetAndClose);
  }
  for (const RawClient& each : clients)
    EXPECT_THAT(each.read_all(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, AStoppedServerLeavesItsClientsAlone) {
  serve();
  const RawClient client = connect();
  client.send(kGet);
  EXPECT_THAT(client.read_until("/v1/x 0"), StartsWith("HTTP/1.1 200 "));
  stop();
  EXPECT_EQ(client.read_all(), "");
}

TEST_F(HttpServerTest, OverTcpRequestsAreReadOnlyAndHaveNoBody) {
  serve_tcp();
  const auto exchange_tcp = [&](const std::string& bytes) {
    const RawClient client = connect_tcp();
    client.send(bytes);
    return client.read_all();
  };
  EXPECT_THAT(exchange_tcp(kGetAndClose), HasSubstr("/v1/x 0 read-only"));
  EXPECT_THAT(exchange_tcp("POST /v1/x HTTP/1.1\r\nConnection: close\r\n\r\n"),
              HasSubstr("/v1/x 0 read-only"));
  EXPECT_THAT(exchange_tcp("POST /v1/x HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"), StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, ReadersOverTcpTakeAtMostHalfOfTheThreadsTime) {
  steady_clock::duration busy{};  // written by the server's thread
  int handled = 0;
  const auto slow = [&](const HttpRequest&) {
    const auto start = steady_clock::now();
    std::this_thread::sleep_for(milliseconds(20));
    busy += steady_clock::now() - start;
    ++handled;
    return HttpResponse{200, "{}"};
  };
  server_ = HttpServer::listen_tcp(io_, core::IpAddress::parse("127.0.0.1").value(), 0, slow).value();
  constexpr int kClients = 8;
  std::vector<RawClient> clients;
  for (int count = 0; count < kClients; ++count) {
    clients.push_back(connect_tcp());
    for (int request = 0; request < 10; ++request)
      clients.back().send(kGet);
  }
  const auto start = steady_clock::now();
  thread_ = std::thread([this] { io_.run(); });
  clients.back().read_until("\r\n\r\n{}", 3);
  io_.stop();
  thread_.join();
  EXPECT_LE(busy * 2, steady_clock::now() - start + milliseconds(100));
  EXPECT_GE(handled, kClients * 2 + 1) << "in turn";
  EXPECT_LE(handled, kClients * 4) << "in turn";
}

TEST_F(HttpServerTest, AnAddressInUseOrOfNobodyIsAnError) {
  serve_tcp();
  boost::asio::io_context io;
  const std::string port = std::to_string(server_->port());
  const auto second =
      HttpServer::listen_tcp(io, core::IpAddress::parse("127.0.0.1").value(), server_->port(), answer);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().line(),
            "listening on 127.0.0.1:" + port +
                ": Address already in use; give an address of this host and a free port");
  const auto elsewhere = HttpServer::listen_tcp(io, core::IpAddress::parse("2001:db8::1").value(), 1, answer);
  ASSERT_FALSE(elsewhere);
  EXPECT_THAT(elsewhere.error().line(), StartsWith("listening on [2001:db8::1]:1: "));
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
