// One connection of the HTTP server, of either kind of socket: what of HTTP/1.1 is spoken, and what a client
// may cost.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>

namespace nfsteer::api {

struct HttpRequest {
  std::string method;  // "GET"; a HEAD is given to the handler as GET
  std::string target;  // path, percent-decoded by nobody: "/v1/services/web/mode"
  std::string body;
  std::string if_match = {};                // the header's value; empty: none
  bool read_only = false;                   // it came in where nothing may be changed
  std::optional<unsigned> only_reads = {};  // the client's user id, if that user may change nothing
};

struct HttpResponse {
  unsigned status = 200;
  std::string body;
  std::string etag = {};  // the header's value; empty: none
  std::string allow = {};
  std::string content_type = "application/json";
};

using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

// Beyond these a client is answered with an error, or cut off.
struct HttpLimits {
  using Duration = std::chrono::milliseconds;

  std::size_t body = std::size_t{4} << 20;      // bytes; a service of 16,384 backends takes some 2 MiB
  std::size_t header = std::size_t{8} << 10;    // bytes
  unsigned connections = 32;                    // at once
  std::size_t unsent = std::size_t{128} << 20;  // bytes of all answers that clients have not read yet
  Duration idle{10'000};                        // until a request begins
  Duration request{10'000};                     // from its first byte to its last
  Duration answer{30'000};                      // until the client has read it
  Duration patience{500};                       // a connection with something to do has this long, even
                                                // while others wait for its place
};

struct HttpConnection {
  using Protocol = boost::asio::generic::stream_protocol;
  using Stream = boost::beast::basic_stream<Protocol, boost::asio::any_io_executor>;
  using Clock = std::chrono::steady_clock;

  explicit HttpConnection(Protocol::socket socket) : stream(std::move(socket)) {}

  Stream stream;
  Clock::time_point step_began = Clock::now();  // waiting for a request, reading it, answering it
  std::size_t unsent = 0;                       // bytes of an answer that is being written
  std::optional<unsigned> only_reads{};         // see HttpRequest
};

// What all connections to one socket share.
struct HttpService {
  HttpHandler handler;
  HttpLimits limits;
  bool read_only = false;
  // Strangers may read as often as they like: after each answer a read-only service rests for as long as the
  // handler took, so that at most half of the thread's time is theirs. Requests wait in line meanwhile.
  HttpConnection::Clock::time_point rests_until{};
  std::list<boost::asio::steady_timer*> line{};
};

// Requests one after the other until the client leaves, errs, takes too long, or the stream is closed.
// `service` must outlive it.
boost::asio::awaitable<void> serve(std::shared_ptr<HttpConnection> connection, HttpService& service);

}  // namespace nfsteer::api
