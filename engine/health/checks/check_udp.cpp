#include <algorithm>
#include <string>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "health/checks/check.hpp"
#include "health/checks/datagrams.hpp"
#include "health/checks/deadline.hpp"
#include "health/checks/verdict.hpp"

namespace nfsteer::health {

namespace asio = boost::asio;
using asio::ip::udp;

asio::awaitable<CheckResult> check_udp(const Target& target, const core::HealthCheck& check) {
  udp::socket socket(co_await asio::this_coro::executor);
  boost::system::error_code error;
  open_connected(socket, udp::endpoint(asio_address(target.address), target.port), error);
  if (error) co_return failed_by(error);

  const Deadline deadline(socket, check.timeout);
  co_await socket.async_send(asio::buffer(check.send), asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return failed_by(error);

  // The kernel cuts off what nobody compares.
  std::string answer(std::max<std::size_t>(check.expect.size(), 1), '\0');
  const std::size_t size =
      co_await socket.async_receive(asio::buffer(answer), asio::redirect_error(asio::use_awaitable, error));
  if (deadline.passed()) co_return no_answer(check.timeout);
  if (error) co_return failed_by(error);
  answer.resize(size);
  if (!answer.starts_with(check.expect)) co_return failed("another answer than the one expected");
  co_return passed("answered");
}

}  // namespace nfsteer::health
