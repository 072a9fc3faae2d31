#include "cli/api_client.hpp"

#include <chrono>
#include <exception>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

namespace nfsteer::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Local = asio::local::stream_protocol;

constexpr auto kTimeMax = std::chrono::seconds(30);             // a commit may wait for the xtables lock
constexpr std::uint64_t kAnswerMax = std::uint64_t{256} << 20;  // bytes

struct Exchange {
  beast::error_code error;
  http::response<http::string_body> response;
};

asio::awaitable<Exchange> exchange(std::string path, http::request<http::string_body> request) {
  Exchange result;
  const auto token = [&] { return asio::redirect_error(asio::use_awaitable, result.error); };
  beast::basic_stream<Local, asio::any_io_executor> stream(co_await asio::this_coro::executor);
  stream.expires_after(kTimeMax);
  co_await stream.async_connect(Local::endpoint(path), token());
  if (!result.error) co_await http::async_write(stream, request, token());
  if (!result.error) {
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kAnswerMax);
    co_await http::async_read(stream, buffer, parser, token());
    result.response = parser.release();
  }
  co_return result;
}

std::string encoded(std::string_view word) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:";
  std::string text;
  for (const char each : word) {
    if (kPlain.find(each) != std::string_view::npos) {
      text += each;
    } else {
      text += fmt::format("%{:02X}", static_cast<unsigned char>(each));
    }
  }
  return text;
}

core::Failure unreachable(const std::string& path, const beast::error_code& error) {
  const std::string thing = "control socket " + path;
  if (error == asio::error::access_denied)
    return core::system_error(thing, "permission denied",
                              "run this as the user or group that may control the engine");
  if (error == asio::error::connection_refused || error == boost::system::errc::no_such_file_or_directory)
    return core::system_error(thing, "no engine listens there",
                              "start one with `nfsteer run`, or name its socket with --control");
  return core::system_error(thing, error.message());
}

core::Result<boost::json::value> answer_of(const std::string& path, const Exchange& done) {
  if (done.error) return unreachable(path, done.error);
  boost::system::error_code malformed;
  boost::json::value answer = boost::json::parse(done.response.body(), malformed);
  if (malformed || !answer.is_object())
    return core::system_error("control socket " + path, "what answers there is no nfsteer engine");
  const unsigned status = done.response.result_int();
  if (status / 100 == 2) return answer;
  const boost::json::value* text = answer.get_object().if_contains("error");
  const std::string reason = text != nullptr && text->is_string() ? std::string(text->get_string())
                                                                  : "status " + std::to_string(status);
  return status < 500 ? core::usage_error({}, reason) : core::system_error({}, reason);
}

}  // namespace

asio::awaitable<core::Result<boost::json::value>> async_call_api(std::string socket_path, std::string method,
                                                                 std::string target, std::string body) {
  if (socket_path.size() > 107)
    co_return core::usage_error("--control", "the path is longer than a socket's may be (107 bytes)");
  http::request<http::string_body> request{http::string_to_verb(method), target, 11};
  request.set(http::field::host, "nfsteer");
  request.keep_alive(false);
  request.body() = std::move(body);
  request.prepare_payload();
  const Exchange done = co_await exchange(socket_path, std::move(request));
  co_return answer_of(socket_path, done);
}

core::Result<boost::json::value> call_api(const std::string& socket_path, const std::string& method,
                                          const std::string& target, const std::string& body) {
  core::Result<boost::json::value> result;
  asio::io_context io;
  asio::co_spawn(io, async_call_api(socket_path, method, target, body),
                 [&](const std::exception_ptr& failed, core::Result<boost::json::value> answer) {
                   if (failed) std::rethrow_exception(failed);
                   result = std::move(answer);
                 });
  io.run();
  return result;
}

std::string api_path(std::initializer_list<std::string_view> words) {
  std::string path = "/v1";
  for (const std::string_view word : words)
    path += '/' + encoded(word);
  return path;
}

std::string api_query(std::initializer_list<std::pair<std::string_view, std::string_view>> parameters) {
  std::string query;
  for (const auto& [name, value] : parameters)
    query += fmt::format("{}{}={}", query.empty() ? '?' : '&', name, encoded(value));
  return query;
}

}  // namespace nfsteer::cli
