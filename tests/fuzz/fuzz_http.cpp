// Any bytes from a client of the HTTP server, in two pieces: what comes back must be HTTP responses, whole
// and nothing else, and what reaches the handler must keep the limits.
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

#include "api/http_connection.hpp"

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using namespace nfsteer::api;
using Socket = asio::local::stream_protocol::socket;

void require(bool holds) {
  if (!holds) std::abort();
}

asio::awaitable<void> speak(Socket& socket, std::string_view first, std::string_view second) {
  boost::system::error_code error;
  for (const std::string_view piece : {first, second}) {
    co_await asio::async_write(socket, asio::buffer(piece), asio::redirect_error(asio::use_awaitable, error));
    for (int turn = 0; turn < 4; ++turn)
      co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
  }
  socket.shutdown(Socket::shutdown_send, error);
}

asio::awaitable<void> hear(Socket& socket, std::string& text) {
  boost::system::error_code error;
  std::array<char, 4096> buffer;
  while (!error) {
    const std::size_t size = co_await socket.async_read_some(
        asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
    text.append(buffer.data(), size);
  }
}

void check_responses(std::string_view text) {
  while (!text.empty()) {
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    boost::system::error_code error;
    text.remove_prefix(parser.put(asio::buffer(text), error));
    require(!error && parser.is_done());
    const unsigned status = parser.get().result_int();
    require(status == 100 || status == 200 || status == 400 || status == 413 || status == 431);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  // The length of an answer to HEAD says nothing of what follows.
  if (bytes.find("HEAD") != std::string_view::npos) return 0;
  const std::size_t split = bytes.size() * data[0] / 255;

  HttpService service;
  HttpLimits& limits = service.limits;
  limits.header = 512;
  limits.body = 256;
  service.handler = [&](const HttpRequest& request) {
    require(!request.method.empty() && !request.target.empty() && !request.read_only);
    require(request.target.size() <= limits.header && request.body.size() <= limits.body);
    return HttpResponse{200, request.body, request.if_match.empty() ? "" : "\"1\""};
  };
  asio::io_context io{1};
  Socket client(io), server(io);
  asio::local::connect_pair(client, server);
  std::string heard;
  asio::co_spawn(io, speak(client, bytes.substr(0, split), bytes.substr(split)), asio::detached);
  asio::co_spawn(io, hear(client, heard), asio::detached);
  bool served = false;
  auto connection = std::make_shared<HttpConnection>(HttpConnection::Protocol::socket(std::move(server)));
  asio::co_spawn(io, serve(connection, service), [&](const std::exception_ptr& failed) {
    require(failed == nullptr);
    connection->stream.close();
    served = true;
  });
  io.run();
  require(served);
  check_responses(heard);
  return 0;
}
