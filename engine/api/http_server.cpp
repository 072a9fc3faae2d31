#include "api/http_server.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iterator>
#include <numeric>
#include <optional>
#include <system_error>
#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "api/peer.hpp"
#include "confine/privileges.hpp"
#include "process/log.hpp"

namespace nfsteer::api {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;
using Protocol = HttpConnection::Protocol;
using Connection = std::shared_ptr<HttpConnection>;

struct HttpServer::State {
  State(asio::io_context& io, const HttpLimits& limits, bool read_only, Handler handler)
      : acceptor(io), room(io), service{{}, limits, read_only} {
    service.handler = [this, handle = std::move(handler)](const HttpRequest& request) {
      HttpResponse response = handle(request);
      make_room_for(response.body.size());
      return response;
    };
  }

  asio::basic_socket_acceptor<Protocol> acceptor;
  asio::steady_timer room;  // cancelled when a connection ends
  HttpService service;
  std::string path;            // of the unix socket
  std::optional<gid_t> group;  // whose members may change things there
  std::vector<Connection> connections;

  Connection oldest() const {
    return *std::ranges::min_element(connections, {}, [](const Connection& it) { return it->step_began; });
  }
  void close(Connection connection) {
    connection->stream.close();
    if (std::erase(connections, connection) != 0) room.cancel();
  }
  void make_room_for(std::size_t answer);

  static asio::awaitable<void> await_room(std::shared_ptr<State> state);
  static asio::awaitable<void> accept_connections(std::shared_ptr<State> state);
};

// Clients that do not read must not fill the memory with answers: the one that has had the longest to read
// its own loses it.
void HttpServer::State::make_room_for(std::size_t answer) {
  const auto sum = [](std::size_t bytes, const Connection& it) { return bytes + it->unsent; };
  while (true) {
    const std::size_t unsent = std::accumulate(connections.begin(), connections.end(), std::size_t{}, sum);
    if (unsent == 0 || unsent + answer <= service.limits.unsent) return;
    std::vector<Connection> reading;
    std::ranges::copy_if(connections, std::back_inserter(reading),
                         [](const Connection& it) { return it->unsent != 0; });
    close(*std::ranges::min_element(reading, {}, [](const Connection& it) { return it->step_began; }));
  }
}

// Until there are fewer connections than there may be. The one whose client has been waited for the longest
// makes room for another.
asio::awaitable<void> HttpServer::State::await_room(std::shared_ptr<State> state) {
  while (state->acceptor.is_open() && state->connections.size() >= state->service.limits.connections) {
    const Connection oldest = state->oldest();
    const auto ripe = oldest->step_began + state->service.limits.patience;
    if (ripe <= HttpConnection::Clock::now()) {
      state->close(oldest);
      continue;
    }
    boost::system::error_code ignored;
    state->room.expires_at(ripe);
    co_await state->room.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<void> HttpServer::State::accept_connections(std::shared_ptr<State> state) {
  while (true) {
    co_await await_room(state);
    boost::system::error_code error;
    Protocol::socket socket =
        co_await state->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (!state->acceptor.is_open()) co_return;
    if (error) {  // out of descriptors, for instance: try again a little later
      process::log_limited(spdlog::level::warn, "a connection of the control API cannot be accepted: {}",
                           error.message());
      state->room.expires_after(std::chrono::milliseconds(100));
      co_await state->room.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    auto connection = std::make_shared<HttpConnection>(std::move(socket));
    if (!state->path.empty())
      connection->only_reads = only_reads(connection->stream.socket().native_handle(), state->group);
    state->connections.push_back(connection);
    asio::co_spawn(state->acceptor.get_executor(), serve(connection, state->service),
                   [state, connection](const std::exception_ptr&) { state->close(connection); });
  }
}

namespace {

constexpr int kBacklog = 128;  // clients that wait to be let in
constexpr std::size_t kPathMax = sizeof(sockaddr_un::sun_path) - 1;

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

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  ~Umask() { ::umask(before_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  mode_t before_;
};

// Whatever the umask was: who may come in is for the socket to say, and nobody else puts another one there.
void make_folder_of(const std::string& path) {
  const Umask born_0755(0022);
  std::error_code ignored;  // bind says what is wrong
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
}

core::Failure cannot_listen(const std::string& path, const std::string& reason) {
  return core::system_error("control socket " + path, reason, "give another path with --control");
}

core::Result<gid_t> group_id(const std::string& path, const std::string& name) {
  std::vector<char> buffer(1024);
  group entry{};
  group* found = nullptr;
  int error = 0;
  while ((error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) == ERANGE)
    buffer.resize(buffer.size() * 2);  // for the names of a large group's members
  if (found != nullptr) return found->gr_gid;
  return core::usage_error(
      fmt::format("control socket {}", path),
      error == 0 ? fmt::format("there is no group \"{}\" on this system", name)
                 : fmt::format("group \"{}\": {}", name, std::generic_category().message(error)),
      "make it with groupadd, or name another one");
}

}  // namespace

core::Result<std::unique_ptr<HttpServer>> HttpServer::listen(asio::io_context& io, const std::string& path,
                                                             Handler handler, const std::string& group,
                                                             const HttpLimits& limits) {
  if (path.size() > kPathMax)
    return cannot_listen(path, fmt::format("a socket's path has at most {} bytes", kPathMax));
  std::optional<gid_t> owner;
  if (!group.empty()) {
    const auto id = group_id(path, group);
    if (!id) return tl::unexpected(id.error());
    owner = *id;
  }

  make_folder_of(path);
  if (is_socket(path) && answers(path)) return cannot_listen(path, "a running engine listens there");
  remove_stale(path);

  auto state = std::make_shared<State>(io, limits, false, std::move(handler));
  boost::system::error_code error;
  state->acceptor.open(Local(), error);
  {
    const Umask born_0660(0117);
    if (!error) state->acceptor.bind(Local::endpoint(path), error);
  }
  if (error) return cannot_listen(path, error.message());
  state->path = path;
  state->group = owner;
  std::unique_ptr<HttpServer> server(new HttpServer(state));  // from here on it removes the socket
  if (const int refused = owner ? confine::give_away(path, static_cast<uid_t>(-1), *owner) : 0; refused != 0)
    return core::system_error(
        "control socket " + path,
        fmt::format("cannot give it to group \"{}\": {}", group, std::generic_category().message(refused)),
        "run the engine with CAP_CHOWN, or as a member of the group");
  state->acceptor.listen(kBacklog, error);
  if (error) return cannot_listen(path, error.message());
  asio::co_spawn(io, State::accept_connections(state), asio::detached);
  return server;
}

core::Result<std::unique_ptr<HttpServer>> HttpServer::listen_tcp(asio::io_context& io,
                                                                 const core::IpAddress& address,
                                                                 std::uint16_t port, Handler handler,
                                                                 const HttpLimits& limits) {
  HttpLimits without_body = limits;
  without_body.body = 0;
  auto state = std::make_shared<State>(io, without_body, true, std::move(handler));
  boost::system::error_code error;
  const Tcp::endpoint endpoint(asio::ip::make_address(address.to_string()), port);
  state->acceptor.open(endpoint.protocol(), error);
  if (!error) state->acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) state->acceptor.bind(endpoint, error);
  if (!error) state->acceptor.listen(kBacklog, error);
  if (error)
    return core::system_error("listening on " + core::endpoint_text(address, port), error.message(),
                              "give an address of this host and a free port");
  asio::co_spawn(io, State::accept_connections(state), asio::detached);
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

void HttpServer::remove_stale(const std::string& path) {
  if (path.size() <= kPathMax && is_socket(path) && !answers(path)) ::unlink(path.c_str());
}

std::uint16_t HttpServer::port() const {
  Tcp::endpoint endpoint;
  boost::system::error_code ignored;
  const Protocol::endpoint local = state_->acceptor.local_endpoint(ignored);
  if (local.size() <= endpoint.capacity()) {
    std::memcpy(endpoint.data(), local.data(), local.size());
    endpoint.resize(local.size());
  }
  return endpoint.port();
}

HttpServer::~HttpServer() {
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  while (!state_->connections.empty())
    state_->close(state_->connections.back());
  state_->room.cancel();
  if (!state_->path.empty()) ::unlink(state_->path.c_str());
}

}  // namespace nfsteer::api
