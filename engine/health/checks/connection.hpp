// A TCP socket that ends its connection with a reset: see check_tcp and check_http for why. Asio's own
// destructor would take the linger time back.
#pragma once

#include <netinet/tcp.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

namespace nfsteer::health {

class ResettingSocket : public boost::asio::ip::tcp::socket {
 public:
  using basic_stream_socket::basic_stream_socket;
  ~ResettingSocket() {
    boost::system::error_code ignored;
    close(ignored);
  }

  void open_resetting(const boost::asio::ip::tcp& protocol, boost::system::error_code& error) {
    open(protocol, error);
    if (!error) set_option(boost::asio::socket_base::linger(true, 0), error);
  }
};

}  // namespace nfsteer::health
