#include <netinet/icmp6.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <span>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/icmp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <linux/icmp.h>

#include "core/checksum.hpp"
#include "health/checks/check.hpp"
#include "health/checks/datagrams.hpp"
#include "health/checks/deadline.hpp"
#include "health/checks/verdict.hpp"

namespace nfsteer::health {

namespace asio = boost::asio;
using asio::ip::icmp;

namespace {

// Type, code, checksum, identifier, sequence number, data. Identifier, sequence number and data are random
// and come back as they are: they tell this check's answer from all others.
constexpr std::size_t kChecksumAt = 2;
constexpr std::size_t kIdentifierAt = 4;
constexpr std::size_t kMessageSize = 24;
using Message = std::array<std::uint8_t, kMessageSize>;

bool make_request(Message& message, bool is_v4) {
  const std::span random = std::span(message).subspan(kIdentifierAt);
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) return false;
  message[0] = is_v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
  // ICMPv6's is the kernel's task (RFC 3542 section 3.1).
  if (is_v4) core::store(&message[kChecksumAt], core::checksum_of(core::internet_sum(message)));
  return true;
}

// A raw socket has every ICMP message from the target; only echo replies are to wake us.
void accept_replies_only(icmp::socket& socket, bool is_v4, boost::system::error_code& error) {
  int result = 0;
  if (is_v4) {
    const icmp_filter filter{.data = ~(1U << ICMP_ECHOREPLY)};
    result = setsockopt(socket.native_handle(), SOL_RAW, ICMP_FILTER, &filter, sizeof filter);
  } else {
    icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    result = setsockopt(socket.native_handle(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
  }
  if (result != 0) error.assign(errno, boost::system::system_category());
}

bool answers(std::span<const std::uint8_t> packet, const Message& request, bool is_v4) {
  if (is_v4) {  // a raw IPv4 socket has the IP header as well
    if (packet.empty()) return false;
    const std::size_t header = (packet[0] & 0x0fU) * 4;
    if (packet.size() < header) return false;
    packet = packet.subspan(header);
  }
  return packet.size() == kMessageSize && packet[0] == (is_v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
         packet[1] == 0 &&
         std::equal(packet.begin() + kIdentifierAt, packet.end(), request.begin() + kIdentifierAt);
}

}  // namespace

asio::awaitable<CheckResult> check_icmp(const Target& target, const core::HealthCheck& check) {
  const bool is_v4 = target.address.is_v4();
  Message request{};
  if (!make_request(request, is_v4)) co_return CheckResult{Outcome::undecided, "no random numbers"};

  icmp::socket socket(co_await asio::this_coro::executor);
  boost::system::error_code error;
  open_connected(socket, icmp::endpoint(asio_address(target.address), 0), error);
  if (!error) accept_replies_only(socket, is_v4, error);
  if (error) co_return failed_by(error);

  const Deadline deadline(socket, check.timeout);
  co_await socket.async_send(asio::buffer(request), asio::redirect_error(asio::use_awaitable, error));
  std::array<std::uint8_t, 128>
      packet;  // the longest IPv4 header, the message, and more to tell a longer one
  while (!error) {
    const std::size_t size =
        co_await socket.async_receive(asio::buffer(packet), asio::redirect_error(asio::use_awaitable, error));
    if (!error && answers(std::span(packet).first(size), request, is_v4)) co_return passed("answered");
  }
  if (deadline.passed()) co_return no_answer(check.timeout);
  co_return failed_by(error);
}

}  // namespace nfsteer::health
