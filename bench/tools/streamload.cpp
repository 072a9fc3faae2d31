// TCP streams to a virtual IP, and the receivers behind it: sends from the calling namespace as fast as it
// can, counts what the receivers' namespaces read. Bytes are counted once the streams have had --warmup
// seconds to open their windows.
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "tool.hpp"

namespace {

using namespace nfsteer::bench;

struct Options {
  std::vector<std::string> to;
  std::uint16_t port = 9001;
  unsigned streams = 1;
  double seconds = 2;
  double warmup = 0.3;
  std::vector<std::string> sinks;
};

constexpr std::size_t kChunk = std::size_t{256} << 10;  // bytes

std::atomic<std::uint64_t> received_bytes = 0;

int listen_in(const std::string& path, std::uint16_t port) {
  const InNamespace there(path);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  const sockaddr_in any = ipv4("0.0.0.0", port);
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(listener, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 ||
      listen(listener, 128) != 0) {
    die("receiver in " + path);
  }
  return listener;
}

// Reads without copying: MSG_TRUNC lets TCP throw the bytes away in the kernel.
void receive_all(int stream) {
  for (;;) {
    const ssize_t got = recv(stream, nullptr, kChunk, MSG_TRUNC);
    if (got <= 0) break;
    received_bytes.fetch_add(static_cast<std::uint64_t>(got), std::memory_order_relaxed);
  }
  close(stream);
}

int connect_to(const sockaddr_in& target) {
  const int stream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (stream < 0 || connect(stream, reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0)
    die("connect");
  return stream;
}

void sleep_seconds(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

void run(const Options& options) {
  for (const std::string& path : options.sinks) {
    std::thread([listener = listen_in(path, options.port)] {
      for (;;) {
        const int stream = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (stream >= 0) std::thread(receive_all, stream).detach();
      }
    }).detach();
  }
  const std::vector<char> chunk(kChunk, 'x');
  for (unsigned i = 0; i < options.streams; ++i) {
    const int stream = connect_to(ipv4(options.to[i % options.to.size()], options.port));
    std::thread([stream, &chunk] {
      while (send(stream, chunk.data(), chunk.size(), MSG_NOSIGNAL) > 0) {
      }
    }).detach();
  }
  sleep_seconds(options.warmup);
  const auto start = Clock::now();
  const std::uint64_t before = received_bytes.load();
  sleep_seconds(options.seconds);
  const std::uint64_t bytes = received_bytes.load() - before;
  fmt::print("{{\"bytes\": {}, \"seconds\": {:.6f}}}\n", bytes, seconds_between(start, Clock::now()));
  std::fflush(stdout);
  // The threads still use what main owns, and blocked ones cannot be joined.
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Sends TCP streams and counts the bytes that the receivers read");
  app.add_option("--to", options.to, "destination; several take turns")->required();
  app.add_option("--port", options.port, "destination port");
  app.add_option("--streams", options.streams, "connections")->check(CLI::Range(1, 1024));
  app.add_option("--seconds", options.seconds, "time of counting");
  app.add_option("--warmup", options.warmup, "time before it");
  app.add_option("--sink", options.sinks, "namespace of a receiver, /run/netns/NAME")->required();
  CLI11_PARSE(app, argc, argv);
  run(options);
}
