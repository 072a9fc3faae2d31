// ICMP checks. Where an address must not answer, or answer wrongly, the test has a network namespace of its
// own in which loopback's answers are switched off.
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/icmp.hpp>
#include <gtest/gtest.h>

#include "core/checksum.hpp"
#include "health_support.hpp"

namespace nfsteer::health {
namespace {

using asio::ip::icmp;
using core::HealthCheck;

HealthCheck within(milliseconds timeout) {
  HealthCheck check;
  check.type = core::CheckType::icmp;
  check.timeout = timeout;
  return check;
}

std::string ping(asio::io_context& io, const std::string& at, milliseconds timeout = milliseconds(2000)) {
  const Target target{"web", address(at), 0};
  const HealthCheck check = within(timeout);
  return text_of(result_of(io, check_icmp(target, check)));
}

bool has_raw_sockets() {
  asio::io_context io;
  icmp::socket socket(io);
  boost::system::error_code error;
  socket.open(icmp::v4(), error);
  return !error;
}

class IcmpCheck : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_raw_sockets()) GTEST_SKIP() << "needs CAP_NET_RAW";
  }
};

TEST_F(IcmpCheck, PassesWhereAnEchoComesBack) {
  asio::io_context io;
  EXPECT_EQ(ping(io, "127.0.0.1"), "passed: answered");
  EXPECT_EQ(ping(io, "::1"), "passed: answered");
}

TEST_F(IcmpCheck, ManyAtOnceDoNotTakeEachOthersAnswers) {
  asio::io_context io;
  const Target target{"web", address("127.0.0.1"), 0};
  const HealthCheck check = within(milliseconds(5000));
  const std::size_t before = open_descriptors();
  int passed = 0;
  for (int count = 0; count < 50; ++count)
    asio::co_spawn(io, check_icmp(target, check), [&](const std::exception_ptr&, const CheckResult& result) {
      passed += result.outcome == Outcome::passed ? 1 : 0;
    });
  EXPECT_TRUE(run_until(io, [&] { return passed == 50; }));
  EXPECT_TRUE(run_until(io, [&] { return open_descriptors() <= before + 3; })) << "the io_context's own";
}

// Runs `body` in a thread with a network namespace whose loopback is up. False where that is not permitted.
bool in_namespace(const std::function<void()>& body) {
  bool is_there = false;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) != 0) return;
    is_there = true;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    EXPECT_EQ(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
    body();
  }).join();
  return is_there;
}

void stop_answering() {
  std::ofstream("/proc/sys/net/ipv4/icmp_echo_ignore_all") << 1;
  std::ofstream("/proc/sys/net/ipv6/icmp/echo_ignore_all") << 1;
}

TEST_F(IcmpCheck, FailsOnSilence) {
  if (!in_namespace([] {
        stop_answering();
        asio::io_context io;
        EXPECT_EQ(ping(io, "127.0.0.1", milliseconds(100)), "failed: no answer within 100 ms");
        EXPECT_EQ(ping(io, "::1", milliseconds(100)), "failed: no answer within 100 ms");
      }))
    GTEST_SKIP() << "needs a network namespace of its own";
}

TEST_F(IcmpCheck, FailsAtOnceWhereThereIsNoWay) {
  if (!in_namespace([] {
        asio::io_context io;
        EXPECT_EQ(ping(io, "192.0.2.1"), "failed: network is unreachable");
      }))
    GTEST_SKIP() << "needs a network namespace of its own";
}

// Answers each echo request with what `answers` makes of it: replies without their checksum.
asio::awaitable<void> reply(
    icmp::socket& socket,
    std::function<std::vector<std::vector<std::uint8_t>>(std::vector<std::uint8_t>)> answers) {
  while (true) {
    std::vector<std::uint8_t> packet(256);
    icmp::endpoint client;
    const std::size_t size =
        co_await socket.async_receive_from(asio::buffer(packet), client, asio::use_awaitable);
    packet.resize(size);
    packet.erase(packet.begin(), packet.begin() + (packet[0] & 0x0f) * 4);
    if (packet[0] != 8) continue;
    packet[0] = 0;
    packet[2] = packet[3] = 0;
    for (auto& answer : answers(packet)) {
      core::store(&answer[2], core::checksum_of(core::internet_sum(answer)));
      co_await socket.async_send_to(asio::buffer(answer), client, asio::use_awaitable);
    }
  }
}

TEST_F(IcmpCheck, OnlyTheRightAnswerCounts) {
  using Bytes = std::vector<std::uint8_t>;
  if (!in_namespace([] {
        stop_answering();
        asio::io_context io;
        bool is_right_one_sent = false;
        icmp::socket socket(io, icmp::v4());
        asio::co_spawn(io,
                       reply(socket,
                             [&](const Bytes& right) {
                               std::vector<Bytes> wrong(5, right);
                               wrong[0][5] ^= 1;       // identifier
                               wrong[1][7] ^= 1;       // sequence number
                               wrong[2].back() ^= 1;   // data
                               wrong[3].push_back(0);  // too long
                               wrong[4].resize(8);     // too short
                               wrong.push_back(Bytes(8));
                               if (is_right_one_sent) wrong.push_back(right);
                               return wrong;
                             }),
                       asio::detached);
        EXPECT_EQ(ping(io, "127.0.0.1", milliseconds(200)), "failed: no answer within 200 ms");
        is_right_one_sent = true;
        EXPECT_EQ(ping(io, "127.0.0.1"), "passed: answered");
      }))
    GTEST_SKIP() << "needs a network namespace of its own";
}

}  // namespace
}  // namespace nfsteer::health
