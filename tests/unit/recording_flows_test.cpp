// Conntrack's events into recorded flows.
#include <netinet/in.h>

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "recording/flow_recorder.hpp"

namespace nfsteer::recording {
namespace {

using core::IpAddress;
using experiment::FlowRecord;
using netlink::Connection;
using netlink::ConntrackChange;
using netlink::TcpState;
using namespace std::chrono_literals;

IpAddress address(const std::string& text) {
  return IpAddress::parse(text).value();
}

void put(const IpAddress& from, std::array<std::uint8_t, 16>& to) {
  std::ranges::copy(from.bytes(), to.begin());
}

core::Service web() {
  core::Service service;
  service.name = "web";
  service.vip = address("10.0.0.40");
  service.protocol = core::Protocol::tcp;
  service.port = 80;
  service.backends = {{address("10.0.0.20"), 8080, 1}, {address("10.0.0.30"), 8080, 3}};
  return service;
}

core::Service dns() {
  core::Service service = web();
  service.name = "dns";
  service.protocol = core::Protocol::udp;
  service.port = 53;
  service.backends = {{address("10.0.0.20"), 53, 1}};
  return service;
}

Connection connection(std::uint16_t client_port, const std::string& backend, TcpState state,
                      std::uint32_t id = 1) {
  Connection made;
  put(address("10.0.0.10"), made.original.source);
  put(address("10.0.0.40"), made.original.destination);
  made.original.source_port = client_port;
  made.original.destination_port = 80;
  made.original.protocol = IPPROTO_TCP;
  put(address(backend), made.reply.source);
  put(address("10.0.0.10"), made.reply.destination);
  made.reply.source_port = 8080;
  made.reply.destination_port = client_port;
  made.reply.protocol = IPPROTO_TCP;
  made.id = id;
  made.status = IPS_DST_NAT | (state == TcpState::syn_sent ? 0 : IPS_SEEN_REPLY);
  made.tcp_state = state;
  return made;
}

class FlowRecorderTest : public testing::Test {
 protected:
  FlowRecorder recorder(bool with_bytes, std::size_t flows_max = 100) {
    return FlowRecorder({web(), dns()}, begin, with_bytes, flows_max,
                        [this](const FlowRecord& each) { records.push_back(each); });
  }
  const Time begin = Time(1h);
  std::vector<FlowRecord> records;
};

TEST_F(FlowRecorderTest, ATcpFlowEndsWhereBothSidesHaveClosedIt) {
  FlowRecorder flows = recorder(true);
  Connection each = connection(1000, "10.0.0.30", TcpState::syn_sent);
  flows.apply(ConntrackChange::created, each, begin + 5ms);
  each = connection(1000, "10.0.0.30", TcpState::established);
  flows.apply(ConntrackChange::updated, each, begin + 7ms);
  each.tcp_state = TcpState::fin_wait;
  flows.apply(ConntrackChange::updated, each, begin + 50ms);
  each.tcp_state = TcpState::time_wait;
  flows.apply(ConntrackChange::updated, each, begin + 105ms);
  EXPECT_TRUE(records.empty()) << "the bytes come when conntrack forgets it";
  each.original_bytes = 700;
  each.reply_bytes = 9000;
  flows.apply(ConntrackChange::destroyed, each, begin + 120s);
  ASSERT_EQ(records.size(), 1U);
  const FlowRecord& it = records[0];
  EXPECT_EQ(it.start_ns, 5'000'000U);
  EXPECT_EQ(it.handshake_us, 2000U);
  EXPECT_EQ(it.duration_us, 100'000U);
  EXPECT_EQ(it.bytes_in, 700U);
  EXPECT_EQ(it.bytes_out, 9000U);
  EXPECT_TRUE(it.answered);
  EXPECT_EQ(it.service, 0U);
  EXPECT_EQ(it.backend.address, address("10.0.0.30"));
  EXPECT_EQ(it.backend.port, 8080U);
  EXPECT_EQ(it.key.source_port, 1000U);
}

TEST_F(FlowRecorderTest, WithoutBytesItIsToldAtItsEnd) {
  FlowRecorder flows = recorder(false);
  flows.apply(ConntrackChange::created, connection(1000, "10.0.0.20", TcpState::syn_sent), begin);
  flows.apply(ConntrackChange::updated, connection(1000, "10.0.0.20", TcpState::time_wait), begin + 1s);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].duration_us, 1'000'000U);
  EXPECT_EQ(flows.open(), 0U);
}

TEST_F(FlowRecorderTest, FlowsThatBeganBeforeAreLeftOut) {
  FlowRecorder flows = recorder(true);
  flows.apply(ConntrackChange::updated, connection(1000, "10.0.0.20", TcpState::established), begin);
  flows.apply(ConntrackChange::destroyed, connection(1000, "10.0.0.20", TcpState::close), begin + 1s);
  flows.finish(begin + 2s);
  EXPECT_TRUE(records.empty());
}

TEST_F(FlowRecorderTest, AFlowNobodyAnsweredIsSaidToBeSo) {
  FlowRecorder flows = recorder(true);
  flows.apply(ConntrackChange::created, connection(1000, "10.0.0.20", TcpState::syn_sent), begin);
  flows.finish(begin + 3s);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_FALSE(records[0].answered);
  EXPECT_EQ(records[0].handshake_us, 0U);
  EXPECT_EQ(records[0].duration_us, 3'000'000U);
  EXPECT_EQ(flows.stats().ended, 0U);
}

TEST_F(FlowRecorderTest, OnlyFlowsOfServicesToTheirBackendsAreRecorded) {
  FlowRecorder flows = recorder(true);
  Connection untranslated = connection(1000, "10.0.0.20", TcpState::syn_sent);
  untranslated.status = 0;
  Connection elsewhere = connection(1001, "10.0.0.99", TcpState::syn_sent);
  Connection other = connection(1002, "10.0.0.20", TcpState::syn_sent);
  other.original.destination_port = 81;
  for (const Connection& each : {untranslated, elsewhere, other})
    flows.apply(ConntrackChange::created, each, begin);
  flows.finish(begin + 1s);
  EXPECT_TRUE(records.empty());
  EXPECT_EQ(flows.stats().elsewhere, 1U);
}

TEST_F(FlowRecorderTest, TheSameTupleAgainIsAnotherFlow) {
  FlowRecorder flows = recorder(true);
  flows.apply(ConntrackChange::created, connection(1000, "10.0.0.20", TcpState::syn_sent, 1), begin);
  flows.apply(ConntrackChange::created, connection(1000, "10.0.0.30", TcpState::syn_sent, 2), begin + 1s);
  flows.apply(ConntrackChange::destroyed, connection(1000, "10.0.0.20", TcpState::close, 1), begin + 2s);
  flows.finish(begin + 3s);
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].backend.address, address("10.0.0.20"));
  EXPECT_EQ(records[1].backend.address, address("10.0.0.30"));
  EXPECT_EQ(records[1].duration_us, 2'000'000U);
}

TEST_F(FlowRecorderTest, MoreThanItMayFollowAreCountedAndLeftOut) {
  FlowRecorder flows = recorder(true, 3);
  for (std::uint16_t port = 1000; port < 1010; ++port)
    flows.apply(ConntrackChange::created, connection(port, "10.0.0.20", TcpState::syn_sent), begin);
  EXPECT_EQ(flows.open(), 3U);
  EXPECT_EQ(flows.stats().begun, 10U);
  EXPECT_EQ(flows.stats().missed, 7U);
}

}  // namespace
}  // namespace nfsteer::recording
