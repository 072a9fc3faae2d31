#include <netinet/in.h>
#include <netinet/tcp.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "health/checks/check.hpp"
#include "health/checks/connection.hpp"
#include "health/checks/deadline.hpp"
#include "health/checks/verdict.hpp"

namespace nfsteer::health {

namespace asio = boost::asio;
using asio::ip::tcp;

asio::awaitable<CheckResult> check_tcp(const Target& target, const core::HealthCheck& check) {
  // With quick acknowledgement off the kernel delays the last packet of the handshake (tcp(7)), long enough
  // for the reset that closing with a linger time of 0 sends in its place.
  using QuickAck = asio::detail::socket_option::boolean<IPPROTO_TCP, TCP_QUICKACK>;

  ResettingSocket socket(co_await asio::this_coro::executor);
  const tcp::endpoint endpoint(asio_address(target.address), target.port);
  boost::system::error_code error;
  socket.open_resetting(endpoint.protocol(), error);
  if (!error) socket.set_option(QuickAck(false), error);
  if (error) co_return failed_by(error);

  const Deadline deadline(socket, check.timeout);
  co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  if (deadline.passed()) co_return no_answer(check.timeout);
  if (error) co_return failed_by(error);
  co_return passed("connected");
}

}  // namespace nfsteer::health
