// TCP, HTTP and UDP checks against real sockets on loopback: servers that answer, refuse, stay silent, are
// slow, or say what no server should.
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "health_support.hpp"

namespace nfsteer::health {
namespace {

using asio::ip::udp;
using core::HealthCheck;
using testing::HasSubstr;
using testing::StartsWith;

class NetworkCheck : public testing::Test {
 protected:
  NetworkCheck() { check_.timeout = milliseconds(2000); }
  ~NetworkCheck() override {
    // Nothing of a check is left but what the test itself holds.
    io_.restart();
    io_.poll();
  }

  Target target(std::uint16_t port, const std::string& at = "127.0.0.1") const {
    return {"web", address(at), port};
  }
  std::string tcp(const Target& to) { return text_of(result_of(io_, check_tcp(to, check_))); }
  std::string http(const Target& to) { return text_of(result_of(io_, check_http(to, check_))); }
  std::string udp(const Target& to) { return text_of(result_of(io_, check_udp(to, check_))); }

  // A port that nobody listens on.
  std::uint16_t closed_port() { return Server(io_, {}).port(); }

  // What an HTTP check makes of `answer`, after which the server closes (or keeps) the connection.
  std::string http_answered(const std::string& answer, bool is_closed = true) {
    Server server(io_, [this, answer, is_closed](tcp::socket& socket) -> asio::awaitable<void> {
      request_.resize(4096);
      boost::system::error_code error;
      request_.resize(co_await socket.async_read_some(asio::buffer(request_),
                                                      asio::redirect_error(asio::use_awaitable, error)));
      co_await asio::async_write(socket, asio::buffer(answer),
                                 asio::redirect_error(asio::use_awaitable, error));
      std::array<char, 64> more;
      while (!is_closed && !error)
        co_await socket.async_read_some(asio::buffer(more), asio::redirect_error(asio::use_awaitable, error));
    });
    return http(target(server.port()));
  }

  asio::io_context io_;
  HealthCheck check_;
  std::string request_;
};

using TcpCheck = NetworkCheck;

TEST_F(TcpCheck, PassesWhereSomethingListens) {
  Server server(io_, {});
  EXPECT_EQ(tcp(target(server.port())), "passed: connected");
}

TEST_F(TcpCheck, PassesOverIpv6) {
  Server server(io_, {}, "::1");
  EXPECT_EQ(tcp(target(server.port(), "::1")), "passed: connected");
}

TEST_F(TcpCheck, NeverReachesTheServerProgram) {
  Server server(io_, {});
  for (int count = 0; count < 20; ++count)
    EXPECT_EQ(tcp(target(server.port())), "passed: connected");
  server.acceptor().non_blocking(true);
  boost::system::error_code error;
  server.acceptor().accept(error);
  EXPECT_EQ(error, asio::error::would_block) << "a connection is there to be accepted";
}

TEST_F(TcpCheck, FailsWhereNobodyListens) {
  EXPECT_EQ(tcp(target(closed_port())), "failed: connection refused");
}

TEST_F(TcpCheck, FailsWhereTheProgramHasStoppedAccepting) {
  tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
  acceptor.listen(0);
  tcp::socket first(io_);
  first.connect(acceptor.local_endpoint());  // fills the queue
  check_.timeout = milliseconds(100);
  EXPECT_EQ(tcp(target(acceptor.local_endpoint().port())), "failed: no answer within 100 ms");
}

TEST_F(TcpCheck, IsUndecidedWhereThisHostHasNoDescriptorLeft) {
  Server server(io_, {});
  io_.poll();
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int next = ::dup(0);
  ::close(next);
  const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  const CheckResult result = result_of(io_, check_tcp(target(server.port()), check_));
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(text_of(result), "undecided: too many open files");
}

TEST_F(TcpCheck, CanBeCancelled) {
  tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
  acceptor.listen(0);
  tcp::socket first(io_);
  first.connect(acceptor.local_endpoint());
  const std::size_t before = open_descriptors();
  check_.timeout = std::chrono::hours(1);
  asio::cancellation_signal signal;
  bool is_over = false;
  const Target to = target(acceptor.local_endpoint().port());
  asio::co_spawn(io_, check_tcp(to, check_),
                 asio::bind_cancellation_slot(
                     signal.slot(), [&](const std::exception_ptr&, const CheckResult&) { is_over = true; }));
  EXPECT_FALSE(run_until(
      io_, [&] { return is_over; }, milliseconds(20)));
  signal.emit(asio::cancellation_type::terminal);
  EXPECT_TRUE(run_until(io_, [&] { return is_over; }));
  EXPECT_TRUE(run_until(io_, [&] { return open_descriptors() == before; }));
}

TEST_F(TcpCheck, LeavesNothingBehindWhenTheIoContextEndsBeforeIt) {
  tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
  acceptor.listen(0);
  tcp::socket first(io_);
  first.connect(acceptor.local_endpoint());
  const Target to = target(acceptor.local_endpoint().port());
  const std::size_t before = open_descriptors();
  {
    asio::io_context other;
    asio::co_spawn(other, check_tcp(to, check_), asio::detached);
    other.poll();
    EXPECT_GT(open_descriptors(), before);
  }
  EXPECT_EQ(open_descriptors(), before);
}

using HttpCheck = NetworkCheck;

TEST_F(HttpCheck, JudgesTheStatus) {
  struct Case {
    std::uint16_t first, last;
    const char* answer;
    const char* result;
  };
  const Case cases[] = {
      {200, 399, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "passed: status 200"},
      {200, 399, "HTTP/1.0 204 No Content\r\n\r\n", "passed: status 204"},
      {200, 399, "HTTP/1.1 399 Odd\r\n\r\n", "passed: status 399"},
      {200, 399, "HTTP/1.1 400 Bad Request\r\n\r\n", "failed: status 400"},
      {200, 399, "HTTP/1.1 503 Service Unavailable\r\n\r\n", "failed: status 503"},
      {200, 299, "HTTP/1.1 302 Found\r\nLocation: /other\r\n\r\n", "failed: status 302"},
      {401, 401, "HTTP/1.1 401 Unauthorized\r\n\r\n", "passed: status 401"},
      {200, 399, "HTTP/1.1 200 \r\n\r\n", "passed: status 200"},
      {200, 399,
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
       "passed: status 200"},
      {200, 399, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nwhat?", "passed: status 200"},
      {200, 399, "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nx", "passed: status 200"},
  };
  for (const Case& each : cases) {
    check_.status_first = each.first;
    check_.status_last = each.last;
    EXPECT_EQ(http_answered(each.answer), each.result) << each.answer;
  }
}

TEST_F(HttpCheck, AsksForThePathAtTheHostOfTheBackend) {
  check_.path = "/health?full=1";
  Server server(io_, [this](tcp::socket& socket) -> asio::awaitable<void> {
    request_.resize(4096);
    request_.resize(co_await socket.async_read_some(asio::buffer(request_), asio::use_awaitable));
  });
  http(target(server.port()));
  EXPECT_THAT(request_, StartsWith("GET /health?full=1 HTTP/1.1\r\n"));
  EXPECT_THAT(request_, HasSubstr("Host: 127.0.0.1:" + std::to_string(server.port()) + "\r\n"));
  EXPECT_THAT(request_, HasSubstr("Connection: close\r\n"));
  check_.host = "shop.example";
  http(target(server.port()));
  EXPECT_THAT(request_, HasSubstr("Host: shop.example\r\n"));
}

TEST_F(HttpCheck, FailsOnWhatIsNoAnswer) {
  EXPECT_EQ(http(target(closed_port())), "failed: connection refused");
  EXPECT_THAT(http_answered("SSH-2.0-OpenSSH_9.2\r\n"), StartsWith("failed: the answer is not HTTP"));
  EXPECT_THAT(http_answered(std::string(100, '\0')), StartsWith("failed: the answer is not HTTP"));
  EXPECT_EQ(http_answered(""), "failed: the connection ended before the answer");
  EXPECT_EQ(http_answered("HTTP/1.1 200 OK\r\nContent-"), "failed: the connection ended before the answer");
}

TEST_F(HttpCheck, FailsWhereTheConnectionIsResetOrTheRestNeverComes) {
  check_.timeout = milliseconds(100);
  EXPECT_EQ(http_answered("", false), "failed: no answer within 100 ms");
  EXPECT_EQ(http_answered("HTTP/1.1 200 OK\r\nContent-", false), "failed: no answer within 100 ms");
  Server resetting(io_, [](tcp::socket& socket) -> asio::awaitable<void> {
    socket.set_option(asio::socket_base::linger(true, 0));
    socket.close();
    co_return;
  });
  EXPECT_EQ(http(target(resetting.port())), "failed: connection reset by peer");
}

TEST_F(HttpCheck, DoesNotWaitForTheBody) {
  EXPECT_EQ(http_answered("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", false), "passed: status 200");
}

// Has the kernel an entry in TIME_WAIT with this port at either end?
bool is_in_time_wait(std::uint16_t port) {
  std::ifstream table("/proc/net/tcp");
  const std::string suffix = fmt::format(":{:04X}", port);
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string slot, local, remote, state;
    fields >> slot >> local >> remote >> state;
    if (state == "06" && (local.ends_with(suffix) || remote.ends_with(suffix))) return true;
  }
  return false;
}

TEST_F(HttpCheck, LeavesNoConnectionBehindInTimeWait) {
  bool is_served = false;
  Server server(io_, [&](tcp::socket& socket) -> asio::awaitable<void> {
    boost::system::error_code error;
    std::array<char, 4096> buffer;
    co_await socket.async_read_some(asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    co_await asio::async_write(socket, asio::buffer(answer),
                               asio::redirect_error(asio::use_awaitable, error));
    co_await socket.async_read_some(asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
    is_served = true;
  });
  EXPECT_EQ(http(target(server.port())), "passed: status 200");
  EXPECT_TRUE(run_until(io_, [&] { return is_served; }));
  EXPECT_FALSE(is_in_time_wait(server.port()));
}

TEST_F(HttpCheck, ASlowAnswerInTimeIsGoodAndADrippingOneEndsWithTheTimeout) {
  const auto drip = [](milliseconds pause) {
    return [pause](tcp::socket& socket) -> asio::awaitable<void> {
      asio::steady_timer timer(socket.get_executor());
      const std::string answer = "HTTP/1.1 200 OK\r\n\r\n";
      for (const char& each : answer) {
        timer.expires_after(pause);
        co_await timer.async_wait(asio::use_awaitable);
        co_await asio::async_write(socket, asio::buffer(&each, 1), asio::use_awaitable);
      }
    };
  };
  Server slow(io_, drip(milliseconds(5)));
  EXPECT_EQ(http(target(slow.port())), "passed: status 200");
  check_.timeout = milliseconds(150);
  Server dripping(io_, drip(milliseconds(100)));
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(http(target(dripping.port())), "failed: no answer within 150 ms");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, milliseconds(1000));
}

TEST_F(HttpCheck, TakesNoHeaderWithoutEnd) {
  EXPECT_EQ(http_answered("HTTP/1.1 200 OK\r\nX: " + std::string(8000, 'x') + "\r\n\r\n"),
            "passed: status 200");
  EXPECT_EQ(http_answered("HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n", false),
            "failed: the answer's header is larger than 16384 bytes");
  std::string interim;
  for (int count = 0; count < 20; ++count)
    interim += "HTTP/1.1 102 Processing\r\n\r\n";
  EXPECT_EQ(http_answered(interim, false), "failed: more informational answers than one can take");
}

TEST_F(HttpCheck, DoesNotBlameTheBackendForABusyThread) {
  check_.timeout = milliseconds(300);
  asio::io_context other;
  Server server(other, [](tcp::socket& socket) -> asio::awaitable<void> {
    std::array<char, 4096> request;
    co_await socket.async_read_some(asio::buffer(request), asio::use_awaitable);
    const std::string answer = "HTTP/1.1 200 OK\r\n\r\n";
    co_await asio::async_write(socket, asio::buffer(answer), asio::use_awaitable);
  });
  std::thread serving([&] { other.run(); });
  asio::post(io_, [&] {  // after the check has begun
    asio::post(io_, [] { std::this_thread::sleep_for(milliseconds(900)); });
  });
  EXPECT_EQ(http(target(server.port())), "passed: status 200");
  other.stop();
  serving.join();
}

class UdpCheck : public NetworkCheck {
 protected:
  UdpCheck() : socket_(io_, asio::ip::udp::endpoint(asio::ip::make_address("127.0.0.1"), 0)) {}

  std::uint16_t port() const { return socket_.local_endpoint().port(); }
  // What a check makes of `answer` to its datagram.
  std::string answered(const std::string& answer) {
    asio::co_spawn(
        io_,
        [this, answer]() -> asio::awaitable<void> {
          asio::ip::udp::endpoint client;
          request_.resize(4096);
          request_.resize(
              co_await socket_.async_receive_from(asio::buffer(request_), client, asio::use_awaitable));
          co_await socket_.async_send_to(asio::buffer(answer), client, asio::use_awaitable);
        },
        asio::detached);
    return udp(target(port()));
  }

  asio::ip::udp::socket socket_;
};

TEST_F(UdpCheck, SendsItsBytesAndComparesTheBeginningOfTheAnswer) {
  check_.send = std::string("\x00\xff ping", 7);
  check_.expect = "pong";
  EXPECT_EQ(answered("pong"), "passed: answered");
  EXPECT_EQ(request_, check_.send);
  EXPECT_EQ(answered("pong and more" + std::string(5000, 'x')), "passed: answered");
  EXPECT_EQ(answered("pon"), "failed: another answer than the one expected");
  EXPECT_EQ(answered("PONG"), "failed: another answer than the one expected");
  EXPECT_EQ(answered(""), "failed: another answer than the one expected");
}

TEST_F(UdpCheck, TakesAnyAnswerWhereNoneInParticularIsExpected) {
  EXPECT_EQ(answered("x"), "passed: answered");
  EXPECT_EQ(request_, "");
  EXPECT_EQ(answered(""), "passed: answered");
}

TEST_F(UdpCheck, FailsOnAClosedPortAtOnceAndOnSilenceInTheEnd) {
  check_.timeout = milliseconds(100);
  EXPECT_EQ(udp(target(port())), "failed: no answer within 100 ms");
  check_.timeout = std::chrono::seconds(15);
  const std::uint16_t closed = port();
  socket_.close();
  EXPECT_EQ(udp(target(closed)), "failed: connection refused");
}

TEST_F(UdpCheck, AnswersFromElsewhereDoNotCount) {
  check_.timeout = milliseconds(100);
  asio::ip::udp::socket other(io_, asio::ip::udp::endpoint(asio::ip::make_address("127.0.0.1"), 0));
  asio::co_spawn(
      io_,
      [&]() -> asio::awaitable<void> {
        asio::ip::udp::endpoint client;
        std::array<char, 16> request;
        co_await socket_.async_receive_from(asio::buffer(request), client, asio::use_awaitable);
        co_await other.async_send_to(asio::buffer("x", 1), client, asio::use_awaitable);
      },
      asio::detached);
  EXPECT_EQ(udp(target(port())), "failed: no answer within 100 ms");
}

TEST_F(UdpCheck, WorksOverIpv6) {
  socket_ = asio::ip::udp::socket(io_, asio::ip::udp::endpoint(asio::ip::make_address("::1"), 0));
  asio::co_spawn(
      io_,
      [&]() -> asio::awaitable<void> {
        asio::ip::udp::endpoint client;
        std::array<char, 16> request;
        co_await socket_.async_receive_from(asio::buffer(request), client, asio::use_awaitable);
        co_await socket_.async_send_to(asio::buffer("x", 1), client, asio::use_awaitable);
      },
      asio::detached);
  EXPECT_EQ(udp(target(port(), "::1")), "passed: answered");
  const std::uint16_t closed = port();
  socket_.close();
  EXPECT_EQ(udp(target(closed, "::1")), "failed: connection refused");
}

}  // namespace
}  // namespace nfsteer::health
