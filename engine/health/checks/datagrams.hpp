// A socket for datagrams from one address only, with what ICMP says of it as errors of the next operation:
// without IP_RECVERR an unreachable host or network would look like silence (ip(7)).
#pragma once

#include <netinet/in.h>

#include <boost/asio/ip/icmp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/system/error_code.hpp>

namespace nfsteer::health {

template <typename Socket>
void open_connected(Socket& socket, const typename Socket::endpoint_type& endpoint,
                    boost::system::error_code& error) {
  using boost::asio::detail::socket_option::boolean;
  socket.open(endpoint.protocol(), error);
  if (!error && endpoint.address().is_v4()) socket.set_option(boolean<IPPROTO_IP, IP_RECVERR>(true), error);
  if (!error && endpoint.address().is_v6())
    socket.set_option(boolean<IPPROTO_IPV6, IPV6_RECVERR>(true), error);
  if (!error) socket.connect(endpoint, error);
}

}  // namespace nfsteer::health
