#include "api/http_server.hpp"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

namespace nfsteer::api {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Local = asio::local::stream_protocol;
using Stream = beast::basic_stream<Local, asio::any_io_executor>;

struct HttpServer::State {
  State(asio::io_context& io, std::string socket_path, Handler request_handler)
      : acceptor(io), path(std::move(socket_path)), handler(std::move(request_handler)) {}
  Local::acceptor acceptor;
  std::string path;
  Handler handler;
  unsigned connections = 0;

  static asio::awaitable<void> accept_connections(std::shared_ptr<State> state);
};

namespace {

constexpr std::size_t kPathMax = sizeof(sockaddr_un::sun_path) - 1;

http::response<http::string_body> respond(HttpResponse answer, unsigned version, bool keep_alive) {
  http::response<http::string_body> response{static_cast<http::status>(answer.status), version};
  response.set(http::field::content_type, "application/json");
  response.keep_alive(keep_alive);
  if (!answer.etag.empty()) response.set(http::field::etag, answer.etag);
  if (!answer.allow.empty()) response.set(http::field::allow, answer.allow);
  response.body() = std::move(answer.body);
  response.prepare_payload();
  return response;
}

}  // namespace

// One connection: requests one after the other until the client leaves, errs or idles.
static asio::awaitable<void> serve(Stream stream, const HttpServer::Handler& handler) {
  beast::flat_buffer buffer{HttpServer::kHeaderMax + HttpServer::kBodyMax};
  while (true) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(HttpServer::kBodyMax);
    parser.header_limit(HttpServer::kHeaderMax);
    stream.expires_after(std::chrono::seconds(HttpServer::kIdleMax_s));

    beast::error_code error;
    co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    http::response<http::string_body> response;
    if (!error) {
      const auto& request = parser.get();
      response = respond(handler({std::string(request.method_string()), std::string(request.target()),
                                  request.body(), std::string(request[http::field::if_match])}),
                         request.version(), request.keep_alive());
    } else if (error == http::error::body_limit || error == http::error::header_limit) {
      response = respond({413, R"({"error":"the request is larger than this API takes"})"}, 11, false);
    } else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
               error != http::error::end_of_stream) {
      response = respond({400, R"({"error":"this is not an HTTP/1.1 request"})"}, 11, false);
    } else {
      co_return;
    }
    co_await http::async_write(stream, response, asio::redirect_error(asio::use_awaitable, error));
    if (error || response.need_eof()) co_return;
  }
}

asio::awaitable<void> HttpServer::State::accept_connections(std::shared_ptr<State> state) {
  asio::steady_timer pause(state->acceptor.get_executor());
  while (state->acceptor.is_open()) {
    boost::system::error_code error;
    Local::socket socket =
        co_await state->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) co_return;
    if (error) {  // out of descriptors, for instance: try again a little later
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    if (state->connections == HttpServer::kConnectionsMax) continue;  // closes the socket
    ++state->connections;
    asio::co_spawn(state->acceptor.get_executor(), serve(Stream(std::move(socket)), state->handler),
                   [state](const std::exception_ptr&) { --state->connections; });
  }
}

namespace {

bool answers(const std::string& path) {
  asio::io_context io;
  boost::system::error_code error;
  Local::socket probe(io);
  probe.connect(Local::endpoint(path), error);
  return !error;
}

bool is_socket(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

core::Failure cannot_listen(const std::string& path, const std::string& reason) {
  return core::system_error("control socket " + path, reason, "give another path with --control");
}

}  // namespace

core::Result<std::unique_ptr<HttpServer>> HttpServer::listen(asio::io_context& io, const std::string& path,
                                                             Handler handler) {
  if (path.size() > kPathMax)
    return cannot_listen(path, fmt::format("a socket's path has at most {} bytes", kPathMax));

  std::error_code ignored;  // bind says what is wrong
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  if (is_socket(path) && answers(path)) return cannot_listen(path, "a running engine listens there");
  remove_stale(path);

  auto state = std::make_shared<State>(io, path, std::move(handler));
  boost::system::error_code error;
  state->acceptor.open(Local(), error);
  const mode_t mask = ::umask(0117);  // the socket is born 0660
  if (!error) state->acceptor.bind(Local::endpoint(path), error);
  ::umask(mask);
  if (!error) state->acceptor.listen(kConnectionsMax, error);
  if (error) return cannot_listen(path, error.message());

  asio::co_spawn(io, State::accept_connections(state), asio::detached);
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

void HttpServer::remove_stale(const std::string& path) {
  if (path.size() <= kPathMax && is_socket(path) && !answers(path)) ::unlink(path.c_str());
}

HttpServer::~HttpServer() {
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  ::unlink(state_->path.c_str());
}

}  // namespace nfsteer::api
