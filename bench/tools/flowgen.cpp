// New UDP flows as fast as the path takes them: every datagram has a source address and port never used
// before. Or, with --repeat, the datagrams of known flows.
//
// The source address travels with each datagram (IP_PKTINFO), so one socket and one sendmmsg make many flows,
// with checksums left to the device as ordinary sockets do. Addresses from --from on must be local (an AnyIP
// route); when they have all been used, the next source port follows.
//
// What arrives is counted in the receivers' namespaces by sockets that nobody reads: the kernel delivers a
// datagram to them, finds no room and counts it (Udp: RcvbufErrors). A reader would take CPU time from what
// is measured.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <sstream>
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
  std::uint16_t port = 9000;
  std::string from;
  std::uint32_t addresses = 1U << 20;
  std::uint16_t source_port = 20000;
  std::uint64_t flows = 200'000;  // at most; conntrack holds them all
  double seconds = 2;
  unsigned threads = 1;
  bool repeat = false;
  std::vector<std::string> sinks;
};

// A socket that counts what reaches it in one namespace.
class Sink {
 public:
  Sink(const std::string& path, std::uint16_t port) {
    const InNamespace there(path);
    const int smallest = 1;
    const sockaddr_in any = ipv4("0.0.0.0", port);
    socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0 || setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof smallest) != 0 ||
        bind(socket_, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) {
      die("receiver in " + path);
    }
    snmp_ = open("/proc/thread-self/net/snmp", O_RDONLY | O_CLOEXEC);
    if (snmp_ < 0) die("/proc/net/snmp of " + path);
  }

  std::uint64_t refused() const {
    std::array<char, 8192> text{};
    if (pread(snmp_, text.data(), text.size() - 1, 0) <= 0) die("/proc/net/snmp");
    std::istringstream lines{std::string(text.data())};
    std::string names, values;
    while (std::getline(lines, names) && std::getline(lines, values)) {
      if (!names.starts_with("Udp:")) continue;
      std::istringstream name(names), value(values);
      for (std::string each, number; name >> each && value >> number;)
        if (each == "RcvbufErrors") return std::stoull(number);
    }
    die_plainly("/proc/net/snmp has no Udp: RcvbufErrors");
  }

 private:
  int socket_ = -1;
  int snmp_ = -1;
};

constexpr unsigned kBatch = 32;
constexpr std::chrono::milliseconds kQuiet{100};
constexpr std::size_t kPayload = 32;  // bytes

// One thread's datagrams, of the flows [first, first + share); every thread has a range of its own.
class Sender {
 public:
  Sender(const Options& options, std::uint64_t first, std::uint64_t share)
      : options_(options), first_(first), end_(first + share), next_(first) {
    from_ = ipv4(options.from, 0);
    for (const std::string& each : options.to)
      to_.push_back(ipv4(each, options.port));
    for (unsigned i = 0; i < kBatch; ++i) {
      iovec_ = {payload_.data(), payload_.size()};
      msghdr& header = messages_[i].msg_hdr;
      header.msg_iov = &iovec_;
      header.msg_iovlen = 1;
      header.msg_namelen = sizeof(sockaddr_in);
      header.msg_control = control_[i].data();
      header.msg_controllen = control_[i].size();
      cmsghdr* control = CMSG_FIRSTHDR(&header);
      control->cmsg_level = IPPROTO_IP;
      control->cmsg_type = IP_PKTINFO;
      control->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    }
  }

  Sender(const Sender&) = delete;  // the headers point into it
  Sender& operator=(const Sender&) = delete;

  bool done() const { return next_ == end_; }
  void begin_again() { next_ = first_; }

  // At most kBatch flows, fewer at the end of the range or the addresses; returns how many the kernel took.
  std::uint64_t send() {
    const auto address = static_cast<std::uint32_t>(next_ % options_.addresses);
    const auto port = static_cast<std::uint16_t>(options_.source_port + next_ / options_.addresses);
    if (port != port_) open_socket(port);
    const auto count =
        static_cast<unsigned>(std::min<std::uint64_t>({kBatch, options_.addresses - address, end_ - next_}));
    for (unsigned i = 0; i < count; ++i) {
      in_pktinfo source{};
      source.ipi_spec_dst = ipv4_plus(from_, address + i);
      std::memcpy(CMSG_DATA(CMSG_FIRSTHDR(&messages_[i].msg_hdr)), &source, sizeof source);
      messages_[i].msg_hdr.msg_name = &to_[(next_ + i) % to_.size()];
    }
    next_ += count;
    const int sent = sendmmsg(socket_, messages_.data(), count, 0);
    if (sent >= 0) return static_cast<std::uint64_t>(sent);
    // EPERM: a rule dropped the first of them; the others are lost with it and count as not arrived.
    if (errno == ENOBUFS || errno == EPERM || errno == EINTR) return 0;
    die("send");
  }

 private:
  void open_socket(std::uint16_t port) {
    if (socket_ >= 0) close(socket_);
    port_ = port;
    const int on = 1, do_not_fragment = IP_PMTUDISC_DO;
    const sockaddr_in any = ipv4("0.0.0.0", port);
    socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    // Otherwise the kernel makes up an IP identification for each datagram, which costs more than a route
    // lookup.
    setsockopt(socket_, IPPROTO_IP, IP_MTU_DISCOVER, &do_not_fragment, sizeof do_not_fragment);
    // Two threads may be at the same port, with addresses of their own.
    if (socket_ < 0 || setsockopt(socket_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
        bind(socket_, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) {
      die("source port " + std::to_string(port));
    }
  }

  const Options& options_;
  const std::uint64_t first_, end_;
  std::uint64_t next_;
  sockaddr_in from_{};
  std::vector<sockaddr_in> to_;
  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::array<char, kPayload> payload_{};
  iovec iovec_{};
  std::array<mmsghdr, kBatch> messages_{};
  alignas(cmsghdr) std::array<std::array<char, CMSG_SPACE(sizeof(in_pktinfo))>, kBatch> control_{};
};

std::uint64_t refused(const std::vector<Sink>& sinks) {
  std::uint64_t sum = 0;
  for (const Sink& each : sinks)
    sum += each.refused();
  return sum;
}

std::uint64_t send_all(Sender& sender, bool repeat, Clock::time_point end) {
  std::uint64_t sent = 0;
  while (Clock::now() < end) {
    sent += sender.send();
    if (!sender.done()) continue;
    if (!repeat) break;
    sender.begin_again();
  }
  return sent;
}

void run(const Options& options) {
  std::vector<Sink> sinks;
  for (const std::string& each : options.sinks)
    sinks.emplace_back(each, options.port);
  const std::uint64_t share = options.flows / options.threads;
  std::deque<Sender> senders;
  for (unsigned i = 0; i < options.threads; ++i)
    senders.emplace_back(options, i * share, share);
  if (options.repeat) {
    for (Sender& each : senders)
      send_all(each, false, Clock::time_point::max());
    std::this_thread::sleep_for(kQuiet);  // every flow has its connection then
  }
  const std::uint64_t before = refused(sinks);
  std::atomic<std::uint64_t> sent = 0;
  std::vector<std::thread> threads;
  const auto start = Clock::now();
  const auto end =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.seconds));
  for (Sender& each : senders) {
    each.begin_again();
    threads.emplace_back([&] { sent += send_all(each, options.repeat, end); });
  }
  for (std::thread& each : threads)
    each.join();
  const auto stop = Clock::now();
  const std::uint64_t arrived = refused(sinks) - before;

  // What was still on its way then counts, and so does its time: until nothing has arrived for kQuiet.
  std::uint64_t settled = arrived;
  auto last = stop;
  for (auto now = stop; now - last < kQuiet; now = Clock::now()) {
    if (const std::uint64_t seen = refused(sinks) - before; seen != settled) {
      settled = seen;
      last = now;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  fmt::print(
      "{{\"sent\": {}, \"arrived\": {}, \"settled\": {}, \"sending_seconds\": {:.6f}, \"seconds\": "
      "{:.6f}}}\n",
      sent.load(), arrived, settled, seconds_between(start, stop), seconds_between(start, last));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Sends datagrams of ever new UDP flows and counts those that arrive");
  app.add_option("--to", options.to, "destination; several take turns")->required();
  app.add_option("--port", options.port, "destination port");
  app.add_option("--from", options.from, "first source address")->required();
  app.add_option("--addresses", options.addresses, "source addresses from there on");
  app.add_option("--flows", options.flows, "stop after this many");
  app.add_option("--seconds", options.seconds, "stop after this time");
  app.add_flag("--repeat", options.repeat, "the same flows again and again, once they are known");
  app.add_option("--threads", options.threads, "senders")->check(CLI::Range(1, 64));
  app.add_option("--sink", options.sinks, "namespace of a receiver, /run/netns/NAME")->required();
  app.add_option("--source-port", options.source_port, "first source port");
  CLI11_PARSE(app, argc, argv);
  run(options);
}
