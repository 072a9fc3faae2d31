// What the tests of health checks share: an io_context that is run until something is so, servers on
// loopback, and what must not be left behind.
#pragma once

#include <dirent.h>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "health/checks/check.hpp"

namespace nfsteer::health {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;

inline constexpr std::chrono::seconds kPatience{20};

inline core::IpAddress address(const std::string& text) {
  return core::IpAddress::parse(text).value();
}

// Runs `io` until `is_so` or patience is over; false for the latter.
inline bool run_until(asio::io_context& io, const std::function<bool()>& is_so,
                      std::chrono::steady_clock::duration patience = kPatience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    io.restart();
    io.run_one_for(milliseconds(5));
  }
  return true;
}

// Runs `io` until `check` has ended.
inline CheckResult result_of(asio::io_context& io, asio::awaitable<CheckResult> check) {
  std::optional<CheckResult> result;
  asio::co_spawn(io, std::move(check), [&](const std::exception_ptr& broken, CheckResult ended) {
    result = broken ? CheckResult{Outcome::undecided, "exception"} : std::move(ended);
  });
  if (!run_until(io, [&] { return result.has_value(); })) return {Outcome::undecided, "never ended"};
  return *result;
}

// "passed: status 200"
inline std::string text_of(const CheckResult& result) {
  const char* const outcome = result.outcome == Outcome::passed   ? "passed"
                              : result.outcome == Outcome::failed ? "failed"
                                                                  : "undecided";
  return outcome + (": " + result.detail);
}

inline std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* const folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr)
    ++count;
  closedir(folder);
  return count;
}

// Listens on a port of its own, and serves each connection by a coroutine; without one it accepts nothing.
class Server {
 public:
  using Serve = std::function<asio::awaitable<void>(tcp::socket&)>;

  Server(asio::io_context& io, Serve serve, const std::string& at = "127.0.0.1", std::uint16_t port = 0)
      : state_(std::make_shared<State>(
            State{tcp::acceptor(io, tcp::endpoint(asio::ip::make_address(at), port)), std::move(serve)})) {
    state_->acceptor.listen(4096);
    if (state_->serve) asio::co_spawn(io, accept(state_), asio::detached);
  }
  ~Server() { state_->acceptor.close(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const { return state_->acceptor.local_endpoint().port(); }
  tcp::acceptor& acceptor() { return state_->acceptor; }
  std::size_t accepted() const { return state_->accepted; }

 private:
  struct State {
    tcp::acceptor acceptor;
    Serve serve;
    std::size_t accepted = 0;
  };

  static asio::awaitable<void> accept(std::shared_ptr<State> state) {
    boost::system::error_code error;
    while (true) {
      auto socket = co_await state->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      ++state->accepted;
      asio::co_spawn(state->acceptor.get_executor(), serve_one(state, std::move(socket)), asio::detached);
    }
  }
  static asio::awaitable<void> serve_one(std::shared_ptr<State> state, tcp::socket socket) {
    co_await state->serve(socket);
  }

  std::shared_ptr<State> state_;
};

}  // namespace nfsteer::health
