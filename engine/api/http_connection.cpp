#include "api/http_connection.hpp"

#include <array>
#include <cstdint>
#include <list>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace nfsteer::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Parser = http::request_parser<http::string_body>;
using Response = http::response<http::string_body>;

constexpr std::size_t kReadMax = std::size_t{64} << 10;  // bytes at a time, beside a header
constexpr std::chrono::milliseconds kFarewell{1'000};    // for the client to read the last answer and leave

void begin_step(HttpConnection& connection, HttpLimits::Duration limit) {
  connection.step_began = HttpConnection::Clock::now();
  connection.stream.expires_after(limit);
}

// What a client is told whose request cannot be read; nothing where it has left.
std::optional<HttpResponse> refusal_of(const beast::error_code& error, const HttpLimits& limits) {
  if (error == http::error::body_limit)
    return HttpResponse{413, R"({"error":"the body is larger than the )" + std::to_string(limits.body) +
                                 R"( bytes that are taken here"})"};
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return HttpResponse{431, R"({"error":"the header is larger than the )" + std::to_string(limits.header) +
                                 R"( bytes that are taken here"})"};
  if (error == http::error::end_of_stream ||
      error.category() != http::make_error_code(http::error::bad_method).category())
    return std::nullopt;
  return HttpResponse{400, R"({"error":"this is not an HTTP/1.1 request"})"};
}

Response response_of(HttpResponse answer, unsigned version, bool keep_alive) {
  Response response{static_cast<http::status>(answer.status), version};
  response.set(http::field::content_type, answer.content_type);
  response.keep_alive(keep_alive);
  if (!answer.etag.empty()) response.set(http::field::etag, answer.etag);
  if (!answer.allow.empty()) response.set(http::field::allow, answer.allow);
  response.body() = std::move(answer.body);
  response.prepare_payload();
  return response;
}

asio::awaitable<beast::error_code> read_request(HttpConnection& connection, beast::flat_buffer& buffer,
                                                Parser& parser, const HttpLimits& limits) {
  beast::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  if (buffer.size() == 0) {
    begin_step(connection, limits.idle);
    const std::size_t size = co_await connection.stream.async_read_some(buffer.prepare(kReadMax), token);
    buffer.commit(size);
    if (error) co_return error;
  }
  begin_step(connection, limits.request);
  co_await http::async_read_header(connection.stream, buffer, parser, token);
  if (error || parser.is_done()) co_return error;
  if (parser.get().version() >= 11 && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    static constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(connection.stream, asio::buffer(kGoOn), token);
    if (error) co_return error;
  }
  co_await http::async_read(connection.stream, buffer, parser, token);
  co_return error;
}

// True: the connection goes on.
asio::awaitable<bool> write_response(HttpConnection& connection, Response& response, bool with_body,
                                     const HttpLimits& limits) {
  begin_step(connection, limits.answer);
  beast::error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  http::response_serializer<http::string_body> serializer{response};
  connection.unsent = with_body ? response.body().size() : 0;
  if (with_body) {
    co_await http::async_write(connection.stream, serializer, token);
  } else {
    co_await http::async_write_header(connection.stream, serializer, token);
  }
  connection.unsent = 0;
  co_return !error && !response.need_eof();
}

// A request's place in the line.
class Turn {
 public:
  Turn(HttpConnection& connection, HttpService& service)
      : service_(service),
        timer_(connection.stream.get_executor()),
        place_(service.line.insert(service.line.end(), &timer_)) {}
  ~Turn() {
    service_.line.erase(place_);
    if (!service_.line.empty()) service_.line.front()->cancel();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  asio::awaitable<void> comes() {
    using Clock = HttpConnection::Clock;
    while (service_.line.front() != &timer_ || service_.rests_until > Clock::now()) {
      beast::error_code ignored;
      timer_.expires_at(service_.line.front() == &timer_ ? service_.rests_until : Clock::time_point::max());
      co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }

 private:
  HttpService& service_;
  asio::steady_timer timer_;
  std::list<asio::steady_timer*>::iterator place_;
};

// Nothing where the connection was closed meanwhile.
asio::awaitable<std::optional<HttpResponse>> answer(HttpConnection& connection, HttpService& service,
                                                    HttpRequest request) {
  Turn turn(connection, service);
  co_await turn.comes();
  if (!connection.stream.socket().is_open()) co_return std::nullopt;
  const auto started = HttpConnection::Clock::now();
  HttpResponse response = service.handler(request);
  const auto ended = HttpConnection::Clock::now();
  if (service.read_only) service.rests_until = ended + (ended - started);
  co_return response;
}

// A socket that is closed with bytes unread takes back what was written last: so read what the client still
// sends, for a while.
asio::awaitable<void> take_leave(HttpConnection& connection) {
  beast::error_code error;
  connection.stream.socket().shutdown(HttpConnection::Protocol::socket::shutdown_send, error);
  if (error) co_return;
  begin_step(connection, kFarewell);
  connection.step_began = {};  // the first to make room for others
  std::array<char, 4096> waste;
  while (!error)
    co_await connection.stream.async_read_some(asio::buffer(waste),
                                               asio::redirect_error(asio::use_awaitable, error));
}

}  // namespace

asio::awaitable<void> serve(std::shared_ptr<HttpConnection> connection, HttpService& service) {
  const HttpLimits& limits = service.limits;
  beast::flat_buffer buffer{limits.header + kReadMax};
  bool goes_on = true;
  while (goes_on) {
    Parser parser;
    parser.body_limit(limits.body);
    parser.header_limit(static_cast<std::uint32_t>(limits.header));
    const beast::error_code error = co_await read_request(*connection, buffer, parser, limits);
    if (error) {
      auto refusal = refusal_of(error, limits);
      if (!refusal) co_return;
      Response response = response_of(*std::move(refusal), 11, false);
      co_await write_response(*connection, response, true, limits);
      break;
    }
    auto& message = parser.get();
    const bool head = message.method() == http::verb::head;
    HttpRequest request{head ? "GET" : std::string(message.method_string()),
                        std::string(message.target()),
                        std::move(message.body()),
                        std::string(message[http::field::if_match]),
                        service.read_only,
                        connection->only_reads};
    auto answered = co_await answer(*connection, service, std::move(request));
    if (!answered) co_return;
    Response response = response_of(*std::move(answered), message.version(), message.keep_alive());
    goes_on = co_await write_response(*connection, response, !head, limits);
  }
  co_await take_leave(*connection);
}

}  // namespace nfsteer::api
