// HTTP/1.1 for the control API: on a unix socket, whose clients may change things, and on TCP addresses, for
// reading. Single-threaded: the handler runs on the io_context's thread, between the engine's own steps, so
// it needs no locks. A client that is slow, silent or hostile costs the others nothing but its turn.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "api/http_connection.hpp"
#include "core/address.hpp"
#include "core/result.hpp"

namespace nfsteer::api {

class HttpServer {
 public:
  using Handler = HttpHandler;

  // Listens on `path` with mode 0660, making its folder if need be; with a `group`, as a socket of that group
  // of the system. Who may change things there: api/peer.hpp. A socket that a dead engine left is replaced;
  // one that answers belongs to a running engine and is an error.
  static core::Result<std::unique_ptr<HttpServer>> listen(boost::asio::io_context& io,
                                                          const std::string& path, Handler handler,
                                                          const std::string& group = {},
                                                          const HttpLimits& limits = {});
  // Listens on an address of this host. Whoever reaches it may read all and change nothing: requests are
  // read_only, and none may have a body. Port 0: any that is free.
  static core::Result<std::unique_ptr<HttpServer>> listen_tcp(boost::asio::io_context& io,
                                                              const core::IpAddress& address,
                                                              std::uint16_t port, Handler handler,
                                                              const HttpLimits& limits = {});

  // Removes the socket that a killed engine left at `path`; anything else there stays.
  static void remove_stale(const std::string& path);

  std::uint16_t port() const;  // of a TCP server

  // Stops listening, ends its connections, and removes the socket from the file system.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  struct State;
  explicit HttpServer(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace nfsteer::api
