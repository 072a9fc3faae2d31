// The tracker in a network namespace of the test's own: real connections to a VIP that iptables translates,
// all over the loopback interface.
//
//   10.0.0.10 (client) -> 10.0.0.40 (VIP) -> 10.0.0.20 (backend): TCP 80 and 81 to 8080 and 8081, UDP 53 to
//   53
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/netlink.h>

#include "netlink/conntrack_socket.hpp"
#include "netlink_support.hpp"
#include "tracking/conntrack_follower.hpp"
#include "tracking/conntrack_use.hpp"
#include "tracking/tracker.hpp"
#include "tracking_support.hpp"

namespace nfsteer::tracking {
namespace {

using core::Protocol;
using test::service;
using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::uint32_t kWeb = 0, kRefusing = 1, kDns = 2;

class Socket {
 public:
  Socket(int type, const std::string& address, std::uint16_t port)
      : fd_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    const int yes = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const sockaddr_in own = at(address, port);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&own), sizeof own), 0) << address << ":" << port;
  }
  ~Socket() { ::close(fd_); }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;

  void listen() const { EXPECT_EQ(::listen(fd_, 100), 0); }
  Socket accept() const { return Socket(::accept(fd_, nullptr, nullptr)); }
  bool connect(const std::string& address, std::uint16_t port) const {
    const sockaddr_in peer = at(address, port);
    return ::connect(fd_, reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0;
  }
  void send_to(const std::string& address, std::uint16_t port) const {
    const sockaddr_in peer = at(address, port);
    EXPECT_EQ(::sendto(fd_, "x", 1, 0, reinterpret_cast<const sockaddr*>(&peer), sizeof peer), 1);
  }

 private:
  explicit Socket(int fd) : fd_(fd) { EXPECT_GE(fd, 0); }

  static sockaddr_in at(const std::string& address, std::uint16_t port) {
    sockaddr_in made{};
    made.sin_family = AF_INET;
    made.sin_port = htons(port);
    EXPECT_EQ(inet_pton(AF_INET, address.c_str(), &made.sin_addr), 1);
    return made;
  }

  int fd_;
};

Socket client(int type, std::uint16_t port = 0) {
  return {type, "10.0.0.10", port};
}

void set(const std::string& setting, int value) {
  std::ofstream file("/proc/sys/net/netfilter/" + setting);
  EXPECT_TRUE(file << value << std::flush) << setting;
}

void with_translated_vip(const std::function<void()>& body) {
  if (std::system("iptables-legacy --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "needs iptables-legacy";
  netlink::in_namespace([&] {
    for (const std::string command :
         {"ip link set lo up", "ip addr add 10.0.0.10/32 dev lo", "ip addr add 10.0.0.20/32 dev lo",
          "ip route add 10.0.0.40/32 dev lo src 10.0.0.10",
          "iptables-legacy -t nat -A OUTPUT -d 10.0.0.40 -p tcp --dport 80 -j DNAT --to 10.0.0.20:8080",
          "iptables-legacy -t nat -A OUTPUT -d 10.0.0.40 -p tcp --dport 81 -j DNAT --to 10.0.0.20:8081",
          "iptables-legacy -t nat -A OUTPUT -d 10.0.0.40 -p udp --dport 53 -j DNAT --to 10.0.0.20:53"})
      ASSERT_EQ(std::system(command.c_str()), 0) << command;
    set("nf_conntrack_acct", 1);
    body();
  });
}

core::SteeredService web() {
  return service("web", "10.0.0.40", Protocol::tcp, 80, {{"10.0.0.20", 8080, kWeb}});
}
core::SteeredService dns() {
  return service("dns", "10.0.0.40", Protocol::udp, 53, {{"10.0.0.20", 0, kDns}});
}
std::shared_ptr<const core::Snapshot> all_services() {
  return test::lookup(
      web(), service("refusing", "10.0.0.40", Protocol::tcp, 81, {{"10.0.0.20", 8081, kRefusing}}), dns());
}

std::unique_ptr<Tracker> started(std::shared_ptr<const core::Snapshot> lookup,
                                 std::size_t receive_bytes = Tracker::kReceiveBytes) {
  auto tracker = Tracker::start(std::move(lookup), receive_bytes);
  EXPECT_TRUE(tracker) << (tracker ? "" : tracker.error().line());
  return tracker ? std::move(*tracker) : nullptr;
}

bool eventually(const std::function<bool()>& condition, std::chrono::seconds wait_max = 20s) {
  const auto deadline = std::chrono::steady_clock::now() + wait_max;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

void forget_all(std::uint16_t vip_port) {
  auto table = netlink::ConntrackTable::open();
  ASSERT_TRUE(table);
  std::vector<netlink::Connection> found;
  ASSERT_TRUE(table->read(
      core::Family::ipv4,
      [&](const netlink::Connection& each) {
        if (each.original.destination_port == vip_port) found.push_back(each);
      },
      [&] { found.clear(); }));
  for (const netlink::Connection& each : found)
    EXPECT_TRUE(table->erase(each).value());
}

TEST(Tracker, CountsATcpConnectionUntilBothEndsAreClosed) {
  with_translated_vip([] {
    const auto tracker = started(all_services());
    ASSERT_TRUE(tracker);
    const Socket listener(SOCK_STREAM, "10.0.0.20", 8080);
    listener.listen();
    {
      const Socket from = client(SOCK_STREAM);
      ASSERT_TRUE(from.connect("10.0.0.40", 80));
      const Socket to = listener.accept();
      ASSERT_TRUE(tracker->settle());
      EXPECT_EQ(tracker->active(kWeb), 1U);
    }
    ASSERT_TRUE(tracker->settle());
    const Totals totals = tracker->totals(kWeb);
    EXPECT_EQ(totals.active, 0U);
    EXPECT_EQ(totals.opened, 1U);
    EXPECT_EQ(totals.unanswered, 0U);
    EXPECT_EQ(tracker->stats().kept, 1U) << "conntrack keeps it for two minutes";
    forget_all(80);
    ASSERT_TRUE(tracker->settle());
    EXPECT_EQ(tracker->stats().kept, 0U);
    EXPECT_GE(tracker->totals(kWeb).packets_in, 3U);
    EXPECT_GE(tracker->totals(kWeb).packets_out, 2U);
    EXPECT_GE(tracker->totals(kWeb).bytes_in, 120U);
  });
}

TEST(Tracker, CountsWhatIsRefused) {
  with_translated_vip([] {
    const auto tracker = started(all_services());
    ASSERT_TRUE(tracker);
    for (int attempt = 0; attempt < 3; ++attempt)
      EXPECT_FALSE(client(SOCK_STREAM).connect("10.0.0.40", 81));
    ASSERT_TRUE(tracker->settle());
    EXPECT_EQ(tracker->totals(kRefusing).unanswered, 3U);
    EXPECT_EQ(tracker->totals(kRefusing).unanswered_in_a_row, 3U);
    EXPECT_EQ(tracker->totals(kRefusing).active, 0U);
    const Socket listener(SOCK_STREAM, "10.0.0.20", 8081);
    listener.listen();
    EXPECT_TRUE(client(SOCK_STREAM).connect("10.0.0.40", 81));
    ASSERT_TRUE(tracker->settle());
    EXPECT_EQ(tracker->totals(kRefusing).unanswered, 3U);
    EXPECT_EQ(tracker->totals(kRefusing).unanswered_in_a_row, 0U);
  });
}

TEST(Tracker, CountsASynThatNobodyAnswersAfterThreeSecondsWithoutAnEvent) {
  with_translated_vip([] {
    ASSERT_EQ(std::system("iptables-legacy -A INPUT -p tcp --dport 8080 -j DROP"), 0);
    const auto tracker = started(all_services());
    ASSERT_TRUE(tracker);
    const Socket from(SOCK_STREAM | SOCK_NONBLOCK, "10.0.0.10", 0);
    EXPECT_FALSE(from.connect("10.0.0.40", 80));
    EXPECT_TRUE(eventually([&] { return tracker->totals(kWeb).unanswered == 1; }));
    EXPECT_EQ(tracker->active(kWeb), 1U);
  });
}

TEST(Tracker, AUdpFlowCountsUntilConntrackForgetsIt) {
  with_translated_vip([] {
    const auto tracker = started(all_services());
    ASSERT_TRUE(tracker);
    std::vector<Socket> flows;  // open all the while: no port comes twice
    for (int flow = 0; flow < 10; ++flow)
      flows.emplace_back(client(SOCK_DGRAM)).send_to("10.0.0.40", 53);
    ASSERT_TRUE(tracker->settle());
    EXPECT_EQ(tracker->active(kDns), 10U);
    forget_all(53);
    ASSERT_TRUE(tracker->settle());
    EXPECT_EQ(tracker->active(kDns), 0U);
    EXPECT_EQ(tracker->totals(kDns).opened, 10U);
    EXPECT_EQ(tracker->totals(kDns).packets_in, 10U);
    EXPECT_EQ(tracker->totals(kDns).bytes_in, 10U * 29U);
  });
}

TEST(Tracker, FindsTheConnectionsThatWereThereBeforeIt) {
  with_translated_vip([] {
    client(SOCK_DGRAM).send_to("10.0.0.40", 53);
    const auto tracker = started(all_services());
    ASSERT_TRUE(tracker);
    EXPECT_EQ(tracker->active(kDns), 1U);
    EXPECT_EQ(tracker->totals(kDns).opened, 0U);
    EXPECT_EQ(tracker->stats().kept, 1U);
    EXPECT_EQ(tracker->stats().readings, 1U);
  });
}

TEST(Tracker, FollowsTheServices) {
  with_translated_vip([] {
    const auto tracker = started(test::lookup(web()));
    ASSERT_TRUE(tracker);
    client(SOCK_DGRAM).send_to("10.0.0.40", 53);
    ASSERT_TRUE(tracker->settle());
    EXPECT_EQ(tracker->stats().kept, 0U);
    tracker->follow(test::lookup(web(), dns()));
    ASSERT_TRUE(tracker->settle());
    EXPECT_EQ(tracker->active(kDns), 1U) << "the table was read for the new service";
    EXPECT_EQ(tracker->stats().readings, 2U);

    tracker->follow(test::lookup(web(), service("dns", "10.0.0.40", Protocol::udp, 53, {})));
    ASSERT_TRUE(tracker->settle());
    EXPECT_EQ(tracker->active(kDns), 0U);
    constexpr std::uint32_t kFar = 5000;
    tracker->follow(test::lookup(service("dns", "10.0.0.40", Protocol::udp, 53, {{"10.0.0.20", 53, kFar}})));
    ASSERT_TRUE(tracker->settle());
    EXPECT_EQ(tracker->active(kFar), 1U);
    EXPECT_EQ(tracker->stats().readings, 2U) << "no service was new";
  });
}

TEST(Tracker, ALossOfEventsIsMadeGoodByReadingTheTable) {
  with_translated_vip([] {
    constexpr std::uint16_t kFlows = 3000;
    const auto tracker = started(all_services(), 4096);
    ASSERT_TRUE(tracker);
    for (std::uint16_t flow = 0; flow < kFlows; ++flow)
      client(SOCK_DGRAM, static_cast<std::uint16_t>(20000 + flow)).send_to("10.0.0.40", 53);
    EXPECT_TRUE(eventually([&] { return tracker->active(kDns) == kFlows; })) << tracker->active(kDns);
    EXPECT_GE(tracker->stats().overflows, 1U);
    EXPECT_GE(tracker->stats().readings, 2U);
    EXPECT_EQ(tracker->totals(kDns).opened, kFlows);
    forget_all(53);
    EXPECT_TRUE(eventually([&] { return tracker->active(kDns) == 0; })) << tracker->active(kDns);
    EXPECT_EQ(tracker->stats().errors, 0U);
    EXPECT_EQ(tracker->stats().malformed, 0U);
  });
}

TEST(Tracker, ABurstThatItsBufferHoldsIsCountedWhole) {
  with_translated_vip([] {
    constexpr std::uint16_t kFlows = 5000;
    const auto tracker = started(all_services());
    ASSERT_TRUE(tracker);
    for (std::uint16_t flow = 0; flow < kFlows; ++flow)
      client(SOCK_DGRAM, static_cast<std::uint16_t>(20000 + flow)).send_to("10.0.0.40", 53);
    ASSERT_TRUE(tracker->settle());
    EXPECT_EQ(tracker->totals(kDns).opened, kFlows);
    EXPECT_EQ(tracker->active(kDns), kFlows);
  });
}

// A follower without a thread, in virtual time.
struct Followed {
  explicit Followed(netlink::ConntrackEvents events)
      : follower((slots.grow(10), slots), counters, stopping, all_services(), std::move(events)) {}

  static std::unique_ptr<Followed> listening(std::size_t receive_bytes = Tracker::kReceiveBytes) {
    auto events = netlink::ConntrackEvents::open(receive_bytes);
    EXPECT_TRUE(events);
    if (!events) return nullptr;
    auto made = std::make_unique<Followed>(std::move(*events));
    EXPECT_TRUE(made->follower.read_table(made->now));
    return made;
  }
  void turn_until_empty() {
    while (!follower.turn(now).emptied) {
    }
  }
  std::uint64_t active(std::uint32_t slot) const { return slots[slot].live.active(); }

  Time now{100s};
  core::SlotBank<ConnectionCounters> slots;
  FollowerCounters counters;
  std::atomic<bool> stopping{false};
  ConntrackFollower follower;
};

// The kernel queues nothing more, and says nothing of it, until such a socket is empty.
TEST(ConntrackFollower, EmptiesASocketThatLostEventsBeforeItReadsTheTable) {
  with_translated_vip([] {
    constexpr std::uint16_t kFlows = 3000;
    const auto followed = Followed::listening(std::size_t{1} << 20);
    ASSERT_TRUE(followed);
    for (std::uint16_t flow = 0; flow < kFlows; ++flow)
      client(SOCK_DGRAM, static_cast<std::uint16_t>(20000 + flow)).send_to("10.0.0.40", 53);
    forget_all(53);  // a long table is read so slowly that the socket is emptied meanwhile
    followed->now += 10s;
    EXPECT_FALSE(followed->follower.turn(followed->now).emptied) << "more is queued than a turn takes";
    EXPECT_EQ(followed->counters.overflows.value(), 1U);
    EXPECT_EQ(followed->counters.readings.value(), 2U) << "at once, for a first loss";
    EXPECT_EQ(followed->active(kDns), 0U);
    client(SOCK_DGRAM, 30000).send_to("10.0.0.40", 53);
    followed->turn_until_empty();
    EXPECT_EQ(followed->active(kDns), 1U);
    EXPECT_EQ(followed->counters.overflows.value(), 1U);
  });
}

// With another listener on this machine, the kernel does make events of it: then it ends before its time.
TEST(ConntrackFollower, ReadsTheTableAgainForConnectionsWithoutEvents) {
  with_translated_vip([] {
    client(SOCK_DGRAM).send_to("10.0.0.40", 53);
    const auto followed = Followed::listening();
    ASSERT_TRUE(followed);
    EXPECT_EQ(followed->active(kDns), 1U);
    ASSERT_TRUE(followed->follower.next_due());
    EXPECT_GE(*followed->follower.next_due(), followed->now + 2s);
    forget_all(53);
    followed->turn_until_empty();
    followed->now += 3s;
    followed->turn_until_empty();
    EXPECT_EQ(followed->active(kDns), 0U);
    EXPECT_FALSE(followed->follower.next_due()) << "there is none any more";
  });
}

// The descriptor of this process that is subscribed to conntrack's events.
int find_event_socket() {
  for (int fd = 3; fd < 256; ++fd) {
    int protocol = 0;
    socklen_t length = sizeof protocol;
    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) != 0 || protocol != NETLINK_NETFILTER)
      continue;
    sockaddr_nl own{};
    length = sizeof own;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) == 0 && own.nl_groups != 0) return fd;
  }
  return -1;
}

TEST(Tracker, OpensABrokenSocketAgainAndFindsWhatItMissed) {
  with_translated_vip([] {
    const auto tracker = started(all_services());
    ASSERT_TRUE(tracker);
    const int fd = find_event_socket();
    ASSERT_GE(fd, 0);
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    ASSERT_EQ(::close(pipe_ends[1]), 0);  // so that it polls as readable
    // By number: the thread sanitizer would take the library's for a mistake of the tracker's.
    ASSERT_EQ(syscall(SYS_dup3, pipe_ends[0], fd, O_CLOEXEC), fd);
    client(SOCK_DGRAM).send_to("10.0.0.40", 53);
    tracker->settle();  // wakes it
    EXPECT_TRUE(eventually([&] { return tracker->active(kDns) == 1; }));
    EXPECT_EQ(tracker->stats().errors, 1U);
    client(SOCK_DGRAM).send_to("10.0.0.40", 53);
    ASSERT_TRUE(tracker->settle());
    EXPECT_EQ(tracker->active(kDns), 2U) << "it listens again";
    ::close(pipe_ends[0]);
  });
}

TEST(Tracker, SaysWhyItCannotStart) {
  with_translated_vip([] {
    set("nf_conntrack_events", 0);
    auto tracker = Tracker::start(all_services());
    ASSERT_FALSE(tracker);
    EXPECT_THAT(tracker.error().line(), HasSubstr("nf_conntrack_events"));
    set("nf_conntrack_events", 2);

    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct none[2]{};
    ASSERT_EQ(syscall(SYS_capset, &header, none), 0);  // this thread's alone
    tracker = Tracker::start(all_services());
    ASSERT_FALSE(tracker);
    EXPECT_THAT(tracker.error().line(), HasSubstr("CAP_NET_ADMIN"));
  });
}

TEST(ConntrackUse, IsThatOfTheThreadsNamespace) {
  with_translated_vip([] {
    EXPECT_EQ(conntrack_use().entries, 0U);
    client(SOCK_DGRAM).send_to("10.0.0.40", 53);
    EXPECT_EQ(conntrack_use().entries, 1U);
    EXPECT_GT(conntrack_use().entries_max, 1U);
    EXPECT_EQ(conntrack_events_setting(), 2);
  });
}

}  // namespace
}  // namespace nfsteer::tracking
