// The kernel's text tables.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netlink/port_owner.hpp"
#include "netlink/queue_stats.hpp"

namespace nfsteer::netlink {
namespace {

TEST(QueueStats, ReadsEveryColumn) {
  const auto queues = parse_queue_stats(
      "    0   7872     3 2 65531    17    42     1234  1\n"
      "65535 4294962969 4294967295 1     0 4294967295     0        0  1\n");
  ASSERT_TRUE(queues);
  EXPECT_THAT(*queues,
              testing::ElementsAre(QueueStats{0, 7872, 3, 2, 65531, 17, 42, 1234},
                                   QueueStats{65535, 4294962969, 4294967295, 1, 0, 4294967295, 0, 0}));
}

TEST(QueueStats, NoQueueIsNoError) {
  const auto queues = parse_queue_stats("");
  ASSERT_TRUE(queues);
  EXPECT_TRUE(queues->empty());
}

class BadQueueStats : public testing::TestWithParam<std::string> {};

TEST_P(BadQueueStats, AreAnErrorThatQuotesTheLine) {
  const auto queues =
      parse_queue_stats("    0   7872     3 2 65531    17    42     1234  1\n" + GetParam() + "\n");
  ASSERT_FALSE(queues);
  EXPECT_THAT(queues.error().line(), testing::HasSubstr('"' + GetParam() + '"'));
}

INSTANTIATE_TEST_SUITE_P(QueueStats, BadQueueStats,
                         testing::Values("", "queue", "0 1 2 3 4 5 6", "65536 1 2 3 4 5 6 7 1",
                                         "-1 1 2 3 4 5 6 7 1", "0 4294967296 2 3 4 5 6 7 1",
                                         "0 1 2 x 4 5 6 7 1"));

struct InodeCase {
  std::uint32_t port_id;
  std::optional<std::uint64_t> inode;
};

class SocketInodes : public testing::TestWithParam<InodeCase> {};

TEST_P(SocketInodes, AreFoundByProtocolAndPort) {
  const char* const table =
      "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
      "0000000000000000 0   7872       00000001 0        0        0     2        0        100\n"
      "0000000000000000 12  7872       00000000 0        0        0     2        3        200\n"
      "0000000000000000 12  4294962969 00000000 0        0        0     2        0        300\n"
      "0000000000000000 12  1\n"
      "0000000000000000 16  0          00000000 0        0        0     2        0        9\n";
  EXPECT_EQ(find_socket_inode(table, GetParam().port_id), GetParam().inode);
}

INSTANTIATE_TEST_SUITE_P(PortOwner, SocketInodes,
                         testing::Values(InodeCase{7872, 200}, InodeCase{4294962969, 300},
                                         InodeCase{1, std::nullopt}, InodeCase{0, std::nullopt}));

}  // namespace
}  // namespace nfsteer::netlink
