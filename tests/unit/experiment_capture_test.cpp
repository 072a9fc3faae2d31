// Flows from captures, which the test writes itself
// (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html).
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "experiment/capture_file.hpp"
#include "experiment_support.hpp"
#include "packet_builder.hpp"

namespace nfsteer::experiment {
namespace {

using test::Bytes;
using test::PacketSpec;

constexpr std::uint32_t kEthernet = 1, kRaw = 101, kCooked = 113, kIeee80211 = 105;

void append(Bytes& to, std::uint32_t word, int size = 4) {
  for (int i = 0; i < size; ++i)
    to.push_back(static_cast<std::uint8_t>(word >> (8 * i)));
}

Bytes capture_of(std::uint32_t link) {
  Bytes bytes;
  append(bytes, 0xa1b2c3d4);
  append(bytes, 0x00040002);  // version 2.4
  append(bytes, 0);
  append(bytes, 0);
  append(bytes, 65535);
  append(bytes, link);
  return bytes;
}

void add_packet(Bytes& capture, std::uint32_t microseconds, const Bytes& link_header, const Bytes& packet) {
  append(capture, 1'700'000'000);
  append(capture, microseconds);
  const auto length = static_cast<std::uint32_t>(link_header.size() + packet.size());
  append(capture, length);
  append(capture, length);
  capture.insert(capture.end(), link_header.begin(), link_header.end());
  capture.insert(capture.end(), packet.begin(), packet.end());
}

Bytes packet(const std::string& source, std::uint16_t port, const std::string& destination = "10.0.0.40") {
  PacketSpec spec;
  spec.source = source;
  spec.source_port = port;
  spec.destination = destination;
  return test::build(spec);
}

Bytes answer(const std::string& from, const std::string& to, std::uint16_t port) {
  PacketSpec spec;
  spec.source = from;
  spec.source_port = 80;
  spec.destination = to;
  spec.destination_port = port;
  return test::build(spec);
}

Bytes ethernet(const char* type) {
  return test::bytes_of(std::string("020000000001020000000002") + type);
}

TEST(Capture, TheFirstPacketOfEachFlowBeginsIt) {
  Bytes bytes = capture_of(kRaw);
  add_packet(bytes, 100, {}, packet("10.0.0.1", 1000));
  add_packet(bytes, 200, {}, answer("10.0.0.40", "10.0.0.1", 1000));
  add_packet(bytes, 300, {}, packet("10.0.0.1", 1000));
  add_packet(bytes, 400, {}, packet("10.0.0.2", 1000, "10.0.0.99"));
  add_packet(bytes, 350, {}, packet("10.0.0.1", 1001));  // times need not rise
  const Folder folder;
  const std::string path = folder.write("flows.pcap", bytes);
  const auto all = read_capture(path, std::nullopt);
  ASSERT_EQ(error_line(all), "no error");
  ASSERT_EQ(all->flows.size(), 3U);
  EXPECT_EQ(all->flows[0].start, 0U);
  EXPECT_EQ(all->flows[1].start, 250'000U);
  EXPECT_EQ(all->flows[1].key.source_port, 1001);
  EXPECT_EQ(all->flows[2].key.destination_address().to_string(), "10.0.0.99");
  EXPECT_EQ(read_capture(path, core::IpAddress::parse("10.0.0.40"))->flows.size(), 2U);
}

TEST(Capture, LinksAreThoseThatTcpdumpMeets) {
  struct Case {
    std::uint32_t link;
    Bytes header;
  };
  for (const auto& [link, header] :
       {Case{kEthernet, ethernet("0800")}, Case{kEthernet, ethernet("810000050800")},
        Case{kEthernet, ethernet("88a80005810000060800")}, Case{kRaw, {}},
        Case{kCooked, test::bytes_of("00000001000602000000000100000800")}}) {
    Bytes bytes = capture_of(link);
    add_packet(bytes, 0, header, packet("10.0.0.1", 1000));
    add_packet(bytes, 0, {}, test::bytes_of("0102"));  // nonsense is skipped
    const Folder folder;
    const auto read = read_capture(folder.write("flows.pcap", bytes), std::nullopt);
    ASSERT_EQ(error_line(read), "no error") << link;
    ASSERT_EQ(read->flows.size(), 1U) << link;
    EXPECT_EQ(read->flows[0].key.source_address().to_string(), "10.0.0.1");
  }
}

TEST(Capture, WhatIsNoneIsRefused) {
  const Folder folder;
  const std::string path = folder.path("flows.pcap");
  const std::string mend = "; give a file that tcpdump has written";
  EXPECT_EQ(error_line(read_capture(path, {})), path + ": " + path + ": No such file or directory" + mend);
  folder.write("flows.pcap", std::string("no capture at all, but long enough"));
  EXPECT_EQ(error_line(read_capture(path, {})), path + ": unknown file format" + mend);
  folder.write("flows.pcap", capture_of(kIeee80211));
  EXPECT_EQ(error_line(read_capture(path, {})),
            path + ": has packets of link type 105, which are not known here" + mend);
}

TEST(Capture, ACutFileKeepsItsFlows) {
  Bytes bytes = capture_of(kRaw);
  add_packet(bytes, 0, {}, packet("10.0.0.1", 1000));
  add_packet(bytes, 0, {}, packet("10.0.0.1", 1001));
  bytes.pop_back();
  const Folder folder;
  const auto read = read_capture(folder.write("flows.pcap", bytes), std::nullopt);
  ASSERT_EQ(error_line(read), "no error");
  EXPECT_EQ(read->flows.size(), 1U);
  EXPECT_TRUE(read->is_cut);
}

TEST(Capture, IsPlayedWithDrawnServiceTimes) {
  Bytes bytes = capture_of(kRaw);
  add_packet(bytes, 0, {}, packet("10.0.0.1", 1000));
  const Folder folder;
  Flags flags;
  flags.pcap_file = folder.write("flows.pcap", bytes);
  flags.servers = "2";
  const auto read = load(flags);
  ASSERT_EQ(error_line(read), "no error");
  EXPECT_EQ(read->scenario.recorded->size(), 1U);
  EXPECT_FALSE(read->scenario.recorded_work);
  flags.vip = "10.0.0.41";
  EXPECT_EQ(error_line(load(flags)),
            flags.pcap_file + ": has no flow to 10.0.0.41; give another --vip, or none for all destinations");
}

}  // namespace
}  // namespace nfsteer::experiment
