// HTTP/1.1 on a unix socket, for the control API. Single-threaded: the handler runs on the io_context's
// thread, between the engine's own steps, so it needs no locks.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "core/result.hpp"

namespace nfsteer::api {

struct HttpRequest {
  std::string method;  // "GET"
  std::string target;  // path, percent-decoded by nobody: "/v1/services/web/mode"
  std::string body;
  std::string if_match = {};  // the header's value; empty: none
};

struct HttpResponse {
  unsigned status = 200;
  std::string body;       // JSON
  std::string etag = {};  // the header's value; empty: none
  std::string allow = {};
};

class HttpServer {
 public:
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  // What a client may cost: beyond these it is answered with an error or cut off.
  static constexpr std::size_t kBodyMax = 64 * 1024;   // bytes
  static constexpr std::size_t kHeaderMax = 8 * 1024;  // bytes
  static constexpr unsigned kConnectionsMax = 32;      // at once
  static constexpr unsigned kIdleMax_s = 10;           // seconds without progress

  // Listens on `path` with mode 0660, making its folder if need be. A socket that a dead engine left is
  // replaced; one that answers belongs to a running engine and is an error.
  static core::Result<std::unique_ptr<HttpServer>> listen(boost::asio::io_context& io,
                                                          const std::string& path, Handler handler);
  // Removes the socket that a killed engine left at `path`; anything else there stays.
  static void remove_stale(const std::string& path);

  // Stops listening and removes the socket from the file system; connections end with the io_context.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  struct State;
  explicit HttpServer(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace nfsteer::api
