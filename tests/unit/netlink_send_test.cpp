// How many system calls the verdicts of a batch cost.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "netlink/queue_socket.hpp"
#include "netlink_support.hpp"

namespace {

std::atomic<std::size_t> sends = 0;

}  // namespace

// Takes the place of the C library's, so that calls can be counted.
extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  ++sends;
  return syscall(SYS_sendmsg, fd, message, flags);
}

namespace nfsteer::netlink {
namespace {

TEST(QueueSocket, ABatchIsOneSend) {
  in_namespace([] {
    auto socket = QueueSocket::open({});
    ASSERT_TRUE(socket) << socket.error().line();
    const std::vector<std::uint8_t> packet(1400, 1);
    VerdictBatch batch(socket->batch_bytes_max());
    for (std::uint32_t id = 1; id <= 64; ++id) {
      if (id % 2 == 0) {
        batch.accept(0, id);
      } else {
        batch.accept(0, id, packet);
      }
    }
    const std::size_t before = sends;
    EXPECT_EQ(socket->send(batch).sent, 64U);
    EXPECT_EQ(sends - before, 1U);
  });
}

}  // namespace
}  // namespace nfsteer::netlink
