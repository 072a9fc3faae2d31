// What the kernel is asked about itself.
#include <gtest/gtest.h>

#include "netlink/kernel_probe.hpp"
#include "netlink/queue_socket.hpp"
#include "netlink/queue_stats.hpp"
#include "netlink_support.hpp"

namespace nfsteer::netlink {
namespace {

TEST(KernelProbe, FindsWhatThisKernelHasAndLeavesNothingBound) {
  in_namespace([] {
    EXPECT_TRUE(has_queues().value_or(false));
    EXPECT_TRUE(has_connection_table().value_or(false));
    EXPECT_TRUE(queues_tell_connections());  // an answer, whichever
    const auto queues = read_queue_stats();
    EXPECT_TRUE(queues && queues->empty());
  });
}

TEST(KernelProbe, AnswersTheSameWhereItsQueueIsSomebodyElses) {
  in_namespace([] {
    const auto before = queues_tell_connections();
    auto socket = QueueSocket::open({});
    ASSERT_TRUE(socket && socket->bind(request_for(65535)));
    const auto after = queues_tell_connections();
    ASSERT_TRUE(before && after);
    EXPECT_EQ(*before, *after);
  });
}

}  // namespace
}  // namespace nfsteer::netlink
