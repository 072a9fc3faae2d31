// HTTP over a new TCP connection each time: connect, request, response until the server closes, close. One
// thread and epoll, many connections in flight.
//
// Closed loop (default): --inflight connections at any time; measures what the path can do.
// Open loop (--rate R): one connection every 1/R seconds whatever the path does, and latency counted from the
// moment it was meant to start, so that a stall is charged to every connection it delayed.
//
// Each connection takes the next source address from --from on (an AnyIP route), so that no address and port
// pair comes back while the kernel remembers it.
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "tool.hpp"

namespace {

using namespace nfsteer::bench;

struct Options {
  std::vector<std::string> to;
  std::uint16_t port = 80;
  std::string from;
  std::uint32_t addresses = 256;
  double seconds = 2;
  double warmup = 0.2;
  unsigned inflight = 64;
  double rate = 0;  // connections per second; 0: closed loop
  bool ack_with_data = false;
};

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: vip\r\nConnection: close\r\n\r\n";
constexpr std::string_view kOk = "HTTP/1.1 200";
constexpr unsigned kOpenLoopSlots = 8192;
constexpr std::uint64_t kTimer = ~std::uint64_t{0};  // epoll tag of the open loop's clock

struct Connection {
  int fd = -1;
  bool connected = false;
  std::size_t received = 0;
  std::array<char, kOk.size()> head{};
  Clock::time_point intended;
};

struct Result {
  std::uint64_t total = 0;  // good ones of the whole run; the rest is of the time of counting
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  std::vector<double> connect_us;  // from the intended start to the end of the handshake
  std::vector<double> request_us;  // from the intended start to the end of the response
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), from_(ipv4(options.from, 0)) {
    for (const std::string& each : options.to)
      to_.push_back(ipv4(each, options.port));
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) die("epoll");
    connections_.resize(options.rate > 0 ? kOpenLoopSlots : options.inflight);
    for (std::size_t i = connections_.size(); i-- > 0;)
      free_.push_back(i);
  }

  Result run() {
    const auto begin = Clock::now();
    counted_from_ = begin + duration(options_.warmup);
    end_ = counted_from_ + duration(options_.seconds);
    next_start_ = begin;
    if (options_.rate > 0) start_timer();
    std::array<epoll_event, 128> events{};
    for (auto now = begin; now < end_; now = Clock::now()) {
      if (options_.rate > 0) {
        while (next_start_ <= now && !free_.empty()) {
          start(next_start_);
          next_start_ += duration(1 / options_.rate);
        }
        arm_timer();
      } else {
        while (!free_.empty())
          start(now);
      }
      const int count = epoll_wait(epoll_, events.data(), events.size(), 100);
      for (int i = 0; i < count; ++i)
        if (const auto& event = events[static_cast<std::size_t>(i)]; event.data.u64 != kTimer) advance(event);
    }
    return std::move(result_);
  }

 private:
  static Clock::duration duration(double seconds) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }

  void start_timer() {
    timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = kTimer}};
    if (timer_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event) != 0) die("timer");
  }

  // steady_clock is CLOCK_MONOTONIC, so its time points are the timer's.
  void arm_timer() {
    const auto since =
        std::chrono::duration_cast<std::chrono::nanoseconds>(next_start_.time_since_epoch()).count();
    itimerspec when{};
    when.it_value = {.tv_sec = since / 1'000'000'000, .tv_nsec = since % 1'000'000'000};
    if (timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr) != 0) die("timer");
  }

  void start(Clock::time_point intended) {
    const std::size_t slot = free_.back();
    free_.pop_back();
    Connection& connection = connections_[slot];
    connection = {.intended = intended};
    connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection.fd < 0) die("socket");
    const int on = 1;
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr = ipv4_plus(from_, started_ % options_.addresses);
    // The port is chosen at connect(), where the whole address pair is known.
    setsockopt(connection.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(connection.fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0)
      die("source address");
    const int off = 0;
    if (options_.ack_with_data) setsockopt(connection.fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.u64 = slot}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) != 0) die("epoll");
    const sockaddr_in& target = to_[started_ % to_.size()];
    ++started_;
    if (connect(connection.fd, reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0 &&
        errno != EINPROGRESS) {
      finish(slot, false);
    }
  }

  void advance(const epoll_event& event) {
    const std::size_t slot = event.data.u64;
    Connection& connection = connections_[slot];
    if (!connection.connected) {
      if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) return finish(slot, false);
      if ((event.events & EPOLLOUT) == 0) return;
      connection.connected = true;
      const auto now = Clock::now();
      if (counted(now)) result_.connect_us.push_back(seconds_between(connection.intended, now) * 1e6);
      // It fits an empty send buffer.
      if (send(connection.fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0) return finish(slot, false);
    }
    if ((event.events & EPOLLIN) != 0) receive(slot, connection);
  }

  void receive(std::size_t slot, Connection& connection) {
    std::array<char, 4096> data;
    for (;;) {
      const ssize_t got = recv(connection.fd, data.data(), data.size(), 0);
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return finish(slot, got == 0 && complete(connection));
      const auto bytes = static_cast<std::size_t>(got);
      if (connection.received < kOk.size()) {
        const std::size_t wanted = std::min(bytes, kOk.size() - connection.received);
        std::memcpy(connection.head.data() + connection.received, data.data(), wanted);
      }
      connection.received += bytes;
    }
  }

  static bool complete(const Connection& connection) {
    return std::string_view(connection.head.data(), connection.head.size()) == kOk;
  }

  void finish(std::size_t slot, bool good) {
    Connection& connection = connections_[slot];
    const auto now = Clock::now();
    if (good) ++result_.total;
    if (counted(now)) {
      ++(good ? result_.done : result_.failed);
      if (good) result_.request_us.push_back(seconds_between(connection.intended, now) * 1e6);
    }
    close(connection.fd);
    connection.fd = -1;
    free_.push_back(slot);
  }

  bool counted(Clock::time_point now) const { return now >= counted_from_ && now < end_; }

  const Options& options_;
  sockaddr_in from_;
  std::vector<sockaddr_in> to_;
  int epoll_ = -1;
  int timer_ = -1;
  std::vector<Connection> connections_;
  std::vector<std::size_t> free_;
  std::uint32_t started_ = 0;
  Clock::time_point counted_from_, end_, next_start_;
  Result result_;
};

std::string percentiles(std::vector<double>& samples) {
  std::sort(samples.begin(), samples.end());
  return fmt::format("{{\"p50\": {:.1f}, \"p99\": {:.1f}, \"p999\": {:.1f}, \"max\": {:.1f}}}",
                     percentile(samples, 0.5), percentile(samples, 0.99), percentile(samples, 0.999),
                     percentile(samples, 1));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Makes HTTP connections, one request each");
  app.add_option("--to", options.to, "destination; several take turns")->required();
  app.add_option("--port", options.port, "destination port");
  app.add_option("--from", options.from, "first source address")->required();
  app.add_option("--addresses", options.addresses, "source addresses from there on");
  app.add_option("--seconds", options.seconds, "time of counting");
  app.add_option("--warmup", options.warmup, "time before it");
  app.add_option("--inflight", options.inflight, "connections at a time, closed loop")
      ->check(CLI::Range(1, 4096));
  app.add_option("--rate", options.rate, "connections per second, open loop");
  app.add_flag("--ack-with-data", options.ack_with_data,
               "the request carries the handshake's last ACK (tests/kernels/handshake_race.py tells why)");
  CLI11_PARSE(app, argc, argv);
  Load load(options);
  Result result = load.run();
  fmt::print(
      "{{\"total\": {}, \"done\": {}, \"failed\": {}, \"seconds\": {:.3f}, \"connect_us\": {}, "
      "\"request_us\": {}}}\n",
      result.total, result.done, result.failed, options.seconds, percentiles(result.connect_us),
      percentiles(result.request_us));
}
