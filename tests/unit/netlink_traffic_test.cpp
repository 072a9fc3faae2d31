// Packets through a queue, in a network namespace of the test's own. Skipped without the privilege to make
// one.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netlink/queue_socket.hpp"
#include "netlink/queue_stats.hpp"
#include "netlink_support.hpp"

namespace nfsteer::netlink {
namespace {

// UDP over the loopback interface, every datagram through queue 0.
class QueuedLoopback {
 public:
  static bool possible() { return std::system("iptables-legacy --version >/dev/null 2>&1") == 0; }

  QueuedLoopback() {
    run("ip link set lo up");
    run("iptables-legacy -A OUTPUT -p udp --dport 4000 -j NFQUEUE --queue-num 0");
    address_.sin_family = AF_INET;
    address_.sin_port = htons(4000);
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(receiver_, reinterpret_cast<const sockaddr*>(&address_), sizeof address_), 0);
  }
  ~QueuedLoopback() {
    close(sender_);
    close(receiver_);
  }
  QueuedLoopback(const QueuedLoopback&) = delete;
  QueuedLoopback& operator=(const QueuedLoopback&) = delete;

  void send(const std::string& text) {
    ::sendto(sender_, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&address_),
             sizeof address_);
  }
  // What has arrived; loopback delivers before a verdict's send returns.
  std::vector<std::string> arrived() {
    std::vector<std::string> all;
    std::array<char, 100> buffer{};
    for (;;) {
      const ssize_t length = ::recv(receiver_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (length < 0) return all;
      all.emplace_back(buffer.data(), static_cast<std::size_t>(length));
    }
  }

 private:
  static void run(const std::string& command) { EXPECT_EQ(std::system(command.c_str()), 0) << command; }

  int sender_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int receiver_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address_{};
};

void with_traffic(const std::function<void(QueueSocket&, QueuedLoopback&)>& body, const BindRequest& request,
                  const SocketOptions& options = {}) {
  if (!QueuedLoopback::possible()) GTEST_SKIP() << "needs iptables-legacy";
  in_namespace([&] {
    auto socket = QueueSocket::open(options);
    ASSERT_TRUE(socket) << socket.error().line();
    ASSERT_TRUE(socket->bind(request));
    QueuedLoopback traffic;
    body(*socket, traffic);
  });
}

TEST(QueueTraffic, AcceptsWithANewPayloadAcceptsAndDrops) {
  with_traffic(
      [](QueueSocket& socket, QueuedLoopback& traffic) {
        for (const char* text : {"change", "accept", "refuse"})
          traffic.send(text);
        std::vector<std::uint8_t> arena(4 * kReceiveBytesMax);
        std::span<std::uint8_t> room = arena;
        VerdictBatch batch(socket.batch_bytes_max());
        while (batch.size() < 3) {
          const ReceiveOutcome got = socket.receive(room, true);
          ASSERT_EQ(got.kind, ReceiveOutcome::Kind::data);
          MessageReader messages(room.first(got.bytes));
          for (Message message; messages.next(message);) {
            ASSERT_EQ(message.kind, MessageKind::packet);
            const QueuedPacket& packet = message.packet;
            ASSERT_EQ(packet.payload.size(), 20U + 8U + 6U);
            switch (packet.payload[28]) {
              case 'c':
                packet.payload[28] = 'C';
                packet.payload[26] = packet.payload[27] = 0;  // no UDP checksum
                batch.accept(packet.queue, packet.id, packet.payload);
                break;
              case 'a':
                batch.accept(packet.queue, packet.id);
                break;
              default:
                batch.drop(packet.queue, packet.id);
            }
          }
          room = room.subspan(got.bytes);
        }
        EXPECT_THAT(traffic.arrived(), testing::IsEmpty());
        EXPECT_EQ(socket.send(batch).sent, 3U);
        EXPECT_THAT(traffic.arrived(), testing::ElementsAre("Change", "accept"));
        EXPECT_EQ(read_queue_stats()->at(0).waiting, 0U);
      },
      {});
}

TEST(QueueTraffic, AcceptUpToLetsGoWhatHasNoVerdictAndNothingLater) {
  with_traffic(
      [](QueueSocket& socket, QueuedLoopback& traffic) {
        for (const char* text : {"first", "second", "third"})
          traffic.send(text);
        ASSERT_TRUE(socket.accept_up_to(0, 2));  // the kernel counts ids from 1
        EXPECT_THAT(traffic.arrived(), testing::ElementsAre("first", "second"));
        EXPECT_EQ(read_queue_stats()->at(0).waiting, 1U);
        ASSERT_TRUE(socket.accept_up_to(0, 1000));
        EXPECT_THAT(traffic.arrived(), testing::ElementsAre("third"));

        ASSERT_TRUE(socket.accept_up_to(0, 1000));  // nothing waits: an error, told apart from a verdict's
        std::vector<std::uint8_t> buffer(kReceiveBytesMax);
        Message message;
        do {
          const ReceiveOutcome got = socket.receive(buffer, true);
          ASSERT_EQ(got.kind, ReceiveOutcome::Kind::data);
          MessageReader messages{std::span(buffer).first(got.bytes)};
          ASSERT_TRUE(messages.next(message));
        } while (message.kind == MessageKind::packet);
        EXPECT_EQ(message.kind, MessageKind::error);
        EXPECT_EQ(message.error, ENOENT);
        EXPECT_EQ(message.sequence, QueueSocket::kAcceptUpToSequence);
      },
      {});
}

TEST(QueueTraffic, WhatArrivesDuringABindIsAccepted) {
  with_traffic(
      [](QueueSocket& socket, QueuedLoopback& traffic) {
        traffic.send("early");
        EXPECT_THAT(traffic.arrived(), testing::IsEmpty());
        ASSERT_TRUE(socket.bind(request_for(1)));
        EXPECT_THAT(traffic.arrived(), testing::ElementsAre("early"));
      },
      {});
}

TEST(QueueTraffic, AFullQueueLetsByWithFailOpenAndDropsWithout) {
  for (const bool fail_open : {true, false}) {
    BindRequest request;
    request.length_max = 1;
    request.fail_open = fail_open;
    with_traffic(
        [fail_open](QueueSocket&, QueuedLoopback& traffic) {
          for (const char* text : {"one", "two", "three"})
            traffic.send(text);
          EXPECT_EQ(traffic.arrived().size(), fail_open ? 2U : 0U);
          EXPECT_EQ(read_queue_stats()->at(0).dropped_full, fail_open ? 0U : 2U);
        },
        request);
  }
}

TEST(QueueTraffic, AnOverflowCostsOnlyWhatFoundNoRoom) {
  SocketOptions options;
  options.receive_bytes = 8192;
  with_traffic(
      [](QueueSocket& socket, QueuedLoopback& traffic) {
        for (int each = 0; each < 50; ++each)
          traffic.send("fill");
        const QueueStats full = read_queue_stats()->at(0);
        ASSERT_GT(full.waiting, 2U);
        ASSERT_GT(full.dropped_user, 0U);
        std::vector<std::uint8_t> buffer(kReceiveBytesMax);
        for (std::uint32_t read = 0; read < full.waiting / 2; ++read)
          ASSERT_EQ(socket.receive(buffer, false).kind, ReceiveOutcome::Kind::data);
        traffic.send("there is room");
        EXPECT_EQ(read_queue_stats()->at(0).waiting, full.waiting + 1);
      },
      request_for(0), options);
}

}  // namespace
}  // namespace nfsteer::netlink
