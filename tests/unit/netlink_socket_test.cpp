// The sockets against the kernel, in a network namespace of the test's own. Skipped without the privilege to
// make one.
#include <net/if.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netlink/interfaces.hpp"
#include "netlink/queue_socket.hpp"
#include "netlink/queue_stats.hpp"
#include "netlink_support.hpp"

namespace nfsteer::netlink {
namespace {

using testing::HasSubstr;

TEST(QueueSocket, OneSocketBindsSeveralQueues) {
  in_namespace([] {
    auto socket = QueueSocket::open({});
    ASSERT_TRUE(socket) << socket.error().line();
    for (const std::uint16_t queue : std::array<std::uint16_t, 3>{3, 4, 5})
      ASSERT_TRUE(socket->bind(request_for(queue)));
    const auto stats = read_queue_stats();
    ASSERT_TRUE(stats) << stats.error().line();
    ASSERT_EQ(stats->size(), 3U);
    for (const QueueStats& queue : *stats) {
      EXPECT_EQ(queue.owner_port_id, socket->port_id());
      EXPECT_EQ(queue.copy_mode, 2U);
      EXPECT_EQ(queue.copy_range, 128U);
    }
    ASSERT_TRUE(socket->unbind(4));
    EXPECT_EQ(read_queue_stats()->size(), 2U);
  });
}

TEST(QueueSocket, ASecondOwnerIsToldWhoTheFirstIs) {
  in_namespace([] {
    auto first = QueueSocket::open({});
    auto second = QueueSocket::open({});
    ASSERT_TRUE(first && second);
    ASSERT_TRUE(first->bind(request_for(7)));
    const auto refused = second->bind(request_for(7));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().line(), HasSubstr("queue 7: taken by "));
    EXPECT_THAT(refused.error().line(), HasSubstr("(pid " + std::to_string(getpid()) + ")"));
    EXPECT_THAT(refused.error().line(), HasSubstr("; stop it or choose others with --queue-base"));
  });
}

TEST(QueueSocket, LivesOnAsTheOneItWasMovedTo) {
  in_namespace([] {
    auto opened = QueueSocket::open({});
    ASSERT_TRUE(opened);
    ASSERT_TRUE(opened->bind(request_for(0)));
    {
      const QueueSocket moved = std::move(*opened);
      EXPECT_EQ(read_queue_stats()->size(), 1U);
    }
    EXPECT_TRUE(read_queue_stats()->empty());
  });
}

TEST(QueueSocket, UnbindingWhatIsNotBoundIsAnError) {
  in_namespace([] {
    auto socket = QueueSocket::open({});
    ASSERT_TRUE(socket);
    const auto refused = socket->unbind(9);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().line(), HasSubstr("queue 9: "));
  });
}

TEST(QueueSocket, ReceiveEndsAfterItsTime) {
  in_namespace([] {
    SocketOptions options;
    options.receive_timeout = std::chrono::milliseconds(20);
    auto socket = QueueSocket::open(options);
    ASSERT_TRUE(socket);
    std::vector<std::uint8_t> buffer(kReceiveBytesMax);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(socket->receive(buffer, true).kind, ReceiveOutcome::Kind::empty);
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(15));
  });
}

// Verdicts on packets that are not there: the kernel answers each with ENOENT, which shows that each arrived,
// once.
TEST(QueueSocket, ABatchTooLargeForTheKernelArrivesInPieces) {
  in_namespace([] {
    SocketOptions options;
    options.batch_bytes = VerdictBatch::kMessageBytesMax;
    auto socket = QueueSocket::open(options);
    ASSERT_TRUE(socket);
    ASSERT_TRUE(socket->bind(request_for(0)));
    const std::vector<std::uint8_t> payload(60000, 1);
    VerdictBatch batch(std::size_t{1} << 20);
    for (std::uint32_t id = 1; id <= 9; ++id)
      batch.accept(0, id, payload);
    ASSERT_GT(batch.bytes(), socket->batch_bytes_max());
    const SendOutcome outcome = socket->send(batch);
    EXPECT_EQ(outcome.sent, 9U);
    EXPECT_EQ(outcome.lost, 0U);
    EXPECT_EQ(outcome.error, EMSGSIZE);
    EXPECT_TRUE(batch.empty());

    std::size_t errors = 0;
    std::vector<std::uint8_t> buffer(kReceiveBytesMax);
    for (;;) {
      const ReceiveOutcome got = socket->receive(buffer, false);
      if (got.kind != ReceiveOutcome::Kind::data) break;
      EXPECT_LT(got.bytes, 100U);  // without the payload that was refused
      MessageReader messages{std::span(buffer).first(got.bytes)};
      for (Message message; messages.next(message);) {
        EXPECT_EQ(message.kind, MessageKind::error);
        EXPECT_EQ(message.error, ENOENT);
        EXPECT_EQ(message.sequence, 0U);
        ++errors;
      }
    }
    EXPECT_EQ(errors, 9U);
  });
}

// The answer to a bind finds no room: the kernel has bound the queue all the same, and bind() must find out.
TEST(QueueSocket, BindSurvivesALostAnswer) {
  in_namespace([] {
    SocketOptions options;
    options.receive_bytes = 4096;
    auto socket = QueueSocket::open(options);
    ASSERT_TRUE(socket);
    ASSERT_TRUE(socket->bind(request_for(0)));
    VerdictBatch batch(socket->batch_bytes_max());
    for (std::uint32_t id = 1; id <= 200; ++id)
      batch.accept(0, id);
    socket->send(batch);  // its 200 errors fill the receive buffer
    const auto bound = socket->bind(request_for(1));
    EXPECT_TRUE(bound) << bound.error().line();
    EXPECT_EQ(read_queue_stats()->size(), 2U);
  });
}

TEST(InterfaceTable, NamesInterfacesThatComeChangeAndGo) {
  in_namespace([] {
    auto table = InterfaceTable::open();
    ASSERT_TRUE(table) << table.error().line();
    EXPECT_EQ(table->name(1), "lo");
    EXPECT_EQ(table->name(4711), "if4711");
    EXPECT_EQ(table->name(0), "");
    const auto after = [&](const char* command) {
      EXPECT_EQ(std::system(command), 0) << command;
      EXPECT_TRUE(table->refresh());
    };
    after("ip link add left type veth peer name right");
    const unsigned index = if_nametoindex("left");
    EXPECT_EQ(table->name(index), "left");
    after("ip link set left name renamed");
    EXPECT_EQ(table->name(index), "renamed");
    after("ip link del renamed");
    EXPECT_EQ(table->name(index), "if" + std::to_string(index));
  });
}

}  // namespace
}  // namespace nfsteer::netlink
