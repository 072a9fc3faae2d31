// conntrack's messages as bytes, and its events, table and deletions in a network namespace of the test's
// own.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "netlink/conntrack_socket.hpp"
#include "netlink_support.hpp"
#include "packet_builder.hpp"

namespace nfsteer::netlink {
namespace {

using core::Family;
using core::FlowKey;
using core::IpAddress;
using test::Bytes;
using test::bytes_of;
using Kind = ConntrackMessage::Kind;

// A TCP connection to 10.0.0.40:80, given to 10.0.0.20:8080: both tuples, status, TCP state, counters and id,
// as ctnetlink_conntrack_event() lays them out. Type 0x0100 is IPCTNL_MSG_CT_NEW; flags 0x0600 are CREATE and
// EXCL.
const char* const kCreated =
    "d0000000 0001 0006 00000000 00000000 02000000"
    "34000180 14000180 08000100 0a00000a 08000200 0a000028 1c000280 0500010006000000 06000200c35000 00 "
    "06000300 0050 0000"
    "34000280 14000180 08000100 0a000014 08000200 0a00000a 1c000280 0500010006000000 060002001f900000 "
    "06000300 c350 0000"
    "08000300 0000002a"
    "10000480 0c000180 05000100 03000000"
    "1c000980 0c000100 0000000000000007 0c000200 0000000000000209"
    "08000c00 deadbeef";

std::vector<ConntrackMessage> read_all(const Bytes& datagram) {
  std::vector<ConntrackMessage> all;
  ConntrackReader messages(datagram);
  for (ConntrackMessage message; messages.next(message);)
    all.push_back(message);
  return all;
}

FlowKey flow(const std::string& source, std::uint16_t source_port, const std::string& destination,
             std::uint16_t destination_port, std::uint8_t protocol) {
  FlowKey key;
  const IpAddress from = IpAddress::parse(source).value(), to = IpAddress::parse(destination).value();
  std::ranges::copy(from.bytes(), key.source.begin());
  std::ranges::copy(to.bytes(), key.destination.begin());
  key.source_port = source_port;
  key.destination_port = destination_port;
  key.protocol = protocol;
  key.family = from.family();
  return key;
}

Bytes created() {
  Bytes bytes = bytes_of(kCreated);
  bytes[0] = static_cast<std::uint8_t>(bytes.size());
  return bytes;
}

TEST(ConntrackMessage, ReadsWhatTheKernelSends) {
  const auto messages = read_all(created());
  ASSERT_EQ(messages.size(), 1U);
  ASSERT_EQ(messages[0].kind, Kind::connection);
  EXPECT_EQ(messages[0].change, ConntrackChange::created);
  const Connection& connection = messages[0].connection;
  EXPECT_EQ(connection.original, flow("10.0.0.10", 50000, "10.0.0.40", 80, IPPROTO_TCP));
  EXPECT_EQ(connection.reply, flow("10.0.0.20", 8080, "10.0.0.10", 50000, IPPROTO_TCP));
  EXPECT_EQ(connection.status, 42U);
  EXPECT_EQ(connection.tcp_state, TcpState::established);
  EXPECT_EQ(connection.original_packets, 7U);
  EXPECT_EQ(connection.original_bytes, 521U);
  EXPECT_EQ(connection.id, 0xdeadbeefU);
}

TEST(ConntrackMessage, TheKindOfChangeIsInTypeAndFlags) {
  Bytes datagram = created();
  datagram[7] = 0;  // no CREATE
  EXPECT_EQ(read_all(datagram)[0].change, ConntrackChange::updated);
  datagram[6] = 2;  // MULTI: an entry of the table
  EXPECT_EQ(read_all(datagram)[0].change, ConntrackChange::created);
  datagram[6] = 0x12;  // MULTI, DUMP_INTR
  EXPECT_TRUE(read_all(datagram)[0].interrupted);
  datagram[4] = 2;  // IPCTNL_MSG_CT_DELETE
  EXPECT_EQ(read_all(datagram)[0].change, ConntrackChange::destroyed);
}

// Whatever of the message is missing, its framing put right or not: nothing outside is read, nothing half is
// taken.
TEST(ConntrackMessage, EveryTruncationIsMalformedOrLacksWholeAttributes) {
  const Bytes whole = created();
  for (std::size_t length = 1; length < whole.size(); ++length) {
    Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(read_all(cut)[0].kind, Kind::malformed) << length;
    if (length < 16) continue;
    cut[0] = static_cast<std::uint8_t>(length);
    const auto messages = read_all(cut);
    ASSERT_EQ(messages.size(), 1U);
    if (messages[0].kind == Kind::connection) {
      EXPECT_EQ(messages[0].connection.original, read_all(whole)[0].connection.original) << length;
    }
  }
}

TEST(ConntrackMessage, AStateThatThereIsNotIsMalformed) {
  Bytes datagram = created();
  const Bytes attribute = bytes_of("05000100 03");
  const auto found = std::search(datagram.begin(), datagram.end(), attribute.begin(), attribute.end());
  ASSERT_NE(found, datagram.end());
  found[4] = 200;
  EXPECT_EQ(read_all(datagram)[0].kind, Kind::malformed);
}

TEST(ConntrackMessage, AQuestionForOneConnectionHoldsItsTuple) {
  Bytes request(kConntrackRequestMax, 0xff);
  const std::size_t length =
      build_conntrack_get(request, flow("10.0.0.10", 50000, "10.0.0.40", 80, IPPROTO_TCP), 7);
  request.resize(length);
  // IPCTNL_MSG_CT_GET without NLM_F_DUMP; CTA_TUPLE_ORIG as in the kernel's own messages above.
  EXPECT_EQ(request,
            bytes_of("48000000 0101 0100 07000000 00000000 02000000"
                     "34000180 14000180 08000100 0a00000a 08000200 0a000028 1c000280 0500010006000000 "
                     "06000200c3500000 0600030000500000"));
}

// UDP over the loopback interface, followed by conntrack.
class FollowedLoopback {
 public:
  static bool possible() { return std::system("iptables-legacy --version >/dev/null 2>&1") == 0; }

  FollowedLoopback() {
    run("ip link set lo up");
    run("iptables-legacy -A INPUT -m conntrack --ctstate NEW -j ACCEPT");
    run("ip6tables-legacy -A INPUT -m conntrack --ctstate NEW -j ACCEPT");
  }

  // From this port to port 4000 of the same address.
  static void send(std::uint16_t from, Family family = Family::ipv4) {
    const int fd = ::socket(family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_storage source = loopback(family, from), target = loopback(family, 4000);
    const socklen_t length = family == Family::ipv4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&source), length), 0);
    EXPECT_EQ(::sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&target), length), 1);
    ::close(fd);
  }

 private:
  static void run(const std::string& command) { EXPECT_EQ(std::system(command.c_str()), 0) << command; }

  static sockaddr_storage loopback(Family family, std::uint16_t port) {
    sockaddr_storage storage{};
    if (family == Family::ipv4) {
      auto& address = reinterpret_cast<sockaddr_in&>(storage);
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
      auto& address = reinterpret_cast<sockaddr_in6&>(storage);
      address.sin6_family = AF_INET6;
      address.sin6_port = htons(port);
      address.sin6_addr = in6addr_loopback;
    }
    return storage;
  }
};

void with_conntrack(const std::function<void()>& body) {
  if (!FollowedLoopback::possible()) GTEST_SKIP() << "needs iptables-legacy";
  in_namespace([&] {
    const FollowedLoopback loopback;
    body();
  });
}

std::vector<ConntrackMessage> waiting_events(ConntrackEvents& events) {
  std::vector<ConntrackMessage> all;
  Bytes buffer(kConntrackReceiveMax);
  pollfd ready{.fd = events.fd(), .events = POLLIN, .revents = 0};
  while (poll(&ready, 1, 200) > 0) {
    const ReceiveOutcome got = events.receive(buffer);
    if (got.kind != ReceiveOutcome::Kind::data) break;
    for (const ConntrackMessage& each :
         read_all({buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(got.bytes)}))
      all.push_back(each);
  }
  return all;
}

std::vector<Connection> table_of(ConntrackTable& table, Family family = Family::ipv4) {
  std::vector<Connection> all;
  EXPECT_TRUE(table.read(
      family, [&](const Connection& each) { all.push_back(each); }, [&] { all.clear(); }));
  return all;
}

TEST(Conntrack, AConnectionComesIsInTheTableAndIsDeletedOnce) {
  with_conntrack([] {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      auto events = ConntrackEvents::open(1 << 20);
      ASSERT_TRUE(events) << events.error().line();
      auto table = ConntrackTable::open();
      ASSERT_TRUE(table) << table.error().line();
      FollowedLoopback::send(4001, family);

      const std::string self = family == Family::ipv4 ? "127.0.0.1" : "::1";
      const FlowKey original = flow(self, 4001, self, 4000, IPPROTO_UDP);
      const auto made = waiting_events(*events);
      ASSERT_FALSE(made.empty());
      EXPECT_EQ(made[0].kind, Kind::connection);
      EXPECT_EQ(made[0].change, ConntrackChange::created);
      EXPECT_EQ(made[0].connection.original, original);
      EXPECT_EQ(made[0].connection.reply, flow(self, 4000, self, 4001, IPPROTO_UDP));

      const auto listed = table_of(*table, family);
      const auto entry = std::ranges::find(listed, original, &Connection::original);
      ASSERT_NE(entry, listed.end());
      EXPECT_EQ(entry->id, made[0].connection.id);

      const auto got = table->get(original);
      ASSERT_TRUE(got) << got.error().line();
      ASSERT_TRUE(*got);
      EXPECT_EQ((*got)->id, entry->id);
      EXPECT_EQ((*got)->reply, entry->reply);
      EXPECT_FALSE(table->get(flow(self, 4002, self, 4000, IPPROTO_UDP)).value()) << "another port";
      EXPECT_FALSE(table->get(flow(self, 4001, self, 4000, IPPROTO_TCP)).value()) << "another protocol";

      Connection other = *entry;
      ++other.id;
      EXPECT_FALSE(table->erase(other).value()) << "the id tells that it is another one";
      EXPECT_TRUE(table->erase(*entry).value());
      EXPECT_FALSE(table->erase(*entry).value());
      EXPECT_FALSE(table->get(original).value());
      const auto gone = waiting_events(*events);
      EXPECT_TRUE(std::ranges::any_of(gone, [&](const ConntrackMessage& each) {
        return each.change == ConntrackChange::destroyed && each.connection.id == entry->id;
      }));
    }
  });
}

TEST(Conntrack, EveryConnectionIsInTheTableOnce) {
  with_conntrack([] {
    auto table = ConntrackTable::open();
    ASSERT_TRUE(table);
    for (std::uint16_t port = 5000; port < 7000; ++port)
      FollowedLoopback::send(port);
    std::set<std::uint16_t> ports;
    const auto listed = table_of(*table);
    for (const Connection& each : listed)
      ports.insert(each.original.source_port);
    EXPECT_EQ(listed.size(), 2000U);
    EXPECT_EQ(ports.size(), 2000U);
  });
}

TEST(Conntrack, LostEventsAreToldOnceAndTheNextOnesCome) {
  with_conntrack([] {
    auto events = ConntrackEvents::open(4096);
    ASSERT_TRUE(events);
    for (std::uint16_t port = 5000; port < 5200; ++port)
      FollowedLoopback::send(port);
    Bytes buffer(kConntrackReceiveMax);
    unsigned overflows = 0;
    for (;;) {
      const ReceiveOutcome got = events->receive(buffer);
      if (got.kind == ReceiveOutcome::Kind::empty) break;
      overflows += got.kind == ReceiveOutcome::Kind::overflow ? 1 : 0;
    }
    EXPECT_EQ(overflows, 1U);
    FollowedLoopback::send(6000);
    const auto after = waiting_events(*events);
    ASSERT_EQ(after.size(), 1U);
    EXPECT_EQ(after[0].connection.original.source_port, 6000);
  });
}

}  // namespace
}  // namespace nfsteer::netlink
