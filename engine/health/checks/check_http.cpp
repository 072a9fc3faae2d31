#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include "health/checks/check.hpp"
#include "health/checks/connection.hpp"
#include "health/checks/deadline.hpp"
#include "health/checks/verdict.hpp"

namespace nfsteer::health {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

namespace {

// Informational answers (1xx) that may come before the one that counts.
constexpr int kInterimMax = 8;

http::request<http::empty_body> request_of(const Target& target, const core::HealthCheck& check) {
  http::request<http::empty_body> request{http::verb::get, check.path, 11};
  request.set(http::field::host,
              check.host.empty() ? core::endpoint_text(target.address, target.port) : check.host);
  request.set(http::field::user_agent, "nfsteer");
  request.set(http::field::accept, "*/*");
  request.set(http::field::connection, "close");
  return request;
}

CheckResult unreadable(const boost::system::error_code& error) {
  if (error == http::error::end_of_stream || error == http::error::partial_message)
    return failed("the connection ended before the answer");
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return failed(fmt::format("the answer's header is larger than {} bytes", kHttpHeaderMax));
  if (error.category() == http::make_error_code(http::error::bad_version).category())
    return failed(fmt::format("the answer is not HTTP: {}", error.message()));
  return failed_by(error);
}

CheckResult judge(unsigned status, const core::HealthCheck& check) {
  const bool good = status >= check.status_first && status <= check.status_last;
  return {good ? Outcome::passed : Outcome::failed, fmt::format("status {}", status)};
}

asio::awaitable<CheckResult> read_answer(tcp::socket& socket, const core::HealthCheck& check) {
  beast::flat_buffer buffer{kHttpHeaderMax};
  for (int interim = 0; interim <= kInterimMax; ++interim) {
    http::response_parser<http::empty_body> parser;
    parser.header_limit(kHttpHeaderMax);
    parser.body_limit(boost::none);  // it is not read
    boost::system::error_code error;
    co_await http::async_read_header(socket, buffer, parser,
                                     asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return unreadable(error);
    const unsigned status = parser.get().result_int();
    if (status >= 200 || status == 101) co_return judge(status, check);
  }
  co_return failed("more informational answers than one can take");
}

}  // namespace

asio::awaitable<CheckResult> check_http(const Target& target, const core::HealthCheck& check) {
  ResettingSocket socket(co_await asio::this_coro::executor);
  const tcp::endpoint endpoint(asio_address(target.address), target.port);
  boost::system::error_code error;
  socket.open_resetting(endpoint.protocol(), error);
  if (!error) socket.set_option(tcp::no_delay(true), error);
  if (error) co_return failed_by(error);

  const Deadline deadline(socket, check.timeout);
  co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  if (!error) {
    const auto request = request_of(target, check);
    co_await http::async_write(socket, request, asio::redirect_error(asio::use_awaitable, error));
  }
  CheckResult result = failed_by(error);
  if (!error) result = co_await read_answer(socket, check);
  if (deadline.passed()) co_return no_answer(check.timeout);
  co_return result;
}

}  // namespace nfsteer::health
