// Recordings: what is written is read again; what nobody wrote is refused.
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "experiment/record_file.hpp"
#include "experiment_support.hpp"

namespace nfsteer::experiment {
namespace {

core::IpAddress address(const char* text) {
  return *core::IpAddress::parse(text);
}

RecordHeader header() {
  RecordHeader made;
  made.start_unix_ns = 1'700'000'000'123'456'789;
  core::Service& web = made.services.emplace_back();
  web.name = "web";
  web.vip = address("10.0.0.40");
  web.protocol = core::Protocol::tcp;
  web.port = 80;
  web.backends = {{.address = address("10.0.0.20"), .weight = 3},
                  {.address = address("10.0.0.30"), .port = 8080}};
  core::Service& six = made.services.emplace_back();
  six.name = "six";
  six.vip = address("fd00::40");
  six.backends = {{.address = address("fd00::20")}};
  return made;
}

FlowRecord record(std::uint64_t start_ms, std::uint16_t backend_port) {
  FlowRecord made;
  made.start_ns = start_ms * lab::kMillisecond;
  made.key.source = {10, 0, 0, 10};
  made.key.destination = {10, 0, 0, 40};
  made.key.source_port = 40000;
  made.key.destination_port = 80;
  made.key.protocol = 6;
  made.backend = backend_port == 80 ? lab::Endpoint{address("10.0.0.20"), 80}
                                    : lab::Endpoint{address("10.0.0.30"), 8080};
  made.handshake_us = 1500;
  made.duration_us = 250'000;
  made.bytes_in = 1234;
  made.bytes_out = 0x1234567890;
  return made;
}

std::vector<std::uint8_t> bytes_of(const RecordHeader& head, const std::vector<FlowRecord>& records) {
  auto bytes = encode(head);
  for (const FlowRecord& each : records) {
    std::array<std::uint8_t, kRecordBytes> to{};
    encode(each, to);
    bytes.insert(bytes.end(), to.begin(), to.end());
  }
  return bytes;
}

TEST(RecordFile, WhatIsWrittenIsReadAgain) {
  const Folder folder;
  const std::string path = folder.path("flows.nfsrec");
  {
    auto writer = RecordWriter::create(path, header());
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append(record(5, 80)));
    ASSERT_TRUE(writer->append(record(1, 8080)));
    ASSERT_TRUE(writer->flush());
    const auto meanwhile = read_recording(path);  // while it is still open
    ASSERT_TRUE(meanwhile);
    EXPECT_EQ(meanwhile->records.size(), 2U);
    ASSERT_TRUE(writer->append(record(9, 80)));
  }
  const auto read = read_recording(path);
  ASSERT_EQ(error_line(read), "no error");
  EXPECT_EQ(read->header.start_unix_ns, header().start_unix_ns);
  EXPECT_EQ(read->header.services, header().services);
  EXPECT_EQ(read->records, (std::vector{record(5, 80), record(1, 8080), record(9, 80)}));
  EXPECT_FALSE(read->is_cut);
}

TEST(RecordFile, TheBytesAreThoseOfTheFormat) {
  RecordHeader head;
  head.start_unix_ns = 0x0102030405060708;
  const std::vector<std::uint8_t> expected{'N', 'F', 'S', 'R', 'E', 'C', 1, 0, 8, 7,
                                           6,   5,   4,   3,   2,   1,   0, 0, 0, 0};
  EXPECT_EQ(encode(head), expected);
  std::array<std::uint8_t, kRecordBytes> to{};
  encode(record(1, 8080), to);
  EXPECT_EQ(to[0], 0x40);   // 1,000,000 ns
  EXPECT_EQ(to[8], 10);     // source
  EXPECT_EQ(to[40], 0x40);  // source port 40000 = 0x9c40
  EXPECT_EQ(to[41], 0x9c);
  EXPECT_EQ(to[44], 6);     // protocol
  EXPECT_EQ(to[45], 4);     // family
  EXPECT_EQ(to[48], 10);    // backend
  EXPECT_EQ(to[66], 1);     // answered
  EXPECT_EQ(to[68], 0xdc);  // 1500 us
  EXPECT_EQ(to[95], 0);
}

TEST(RecordFile, ACutFileKeepsItsWholeRecords) {
  auto bytes = bytes_of(header(), {record(1, 80), record(2, 80)});
  bytes.pop_back();
  const auto read = decode(bytes, "flows");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->records.size(), 1U);
  EXPECT_TRUE(read->is_cut);
}

TEST(RecordFile, ForeignBytesAreRefusedInOneLine) {
  const std::string mend = "; give a file that `nfsteer record` has written";
  const auto refusal = [](std::vector<std::uint8_t> bytes) { return error_line(decode(bytes, "flows")); };
  const auto with = [](std::size_t at, std::uint8_t value) {
    auto bytes = bytes_of(header(), {record(1, 80)});
    bytes.at(at) = value;
    return bytes;
  };
  const std::size_t head = encode(header()).size();
  EXPECT_EQ(refusal({}), "flows: is no recording of flows" + mend);
  EXPECT_EQ(refusal(with(0, 'n')), "flows: is no recording of flows" + mend);
  EXPECT_EQ(refusal(with(6, 9)),
            "flows: has version 9 of the format, and this is 1; read it with the nfsteer that wrote it");
  EXPECT_EQ(refusal(with(19, 0xff)), "flows: says it has 4278190082 services" + mend);
  EXPECT_EQ(refusal({'N', 'F', 'S', 'R', 'E', 'C', 1, 0, 0}), "flows: ends inside its header" + mend);
  EXPECT_EQ(refusal(with(21, '\n')), "flows: service 0: its name is not one of a service" + mend);
  EXPECT_EQ(refusal(with(24, 5)), "flows: service 0: its VIP is no address" + mend);
  EXPECT_EQ(refusal(with(25, 99)), "flows: service 0: its protocol is unknown" + mend);
  EXPECT_EQ(refusal(with(47, 0xff)), "flows: service 0: it has too many backends" + mend);
  EXPECT_EQ(refusal(with(head + 7, 0xff)), "flows: record 0: its time is out of range" + mend);
  EXPECT_EQ(refusal(with(head + 20, 1)), "flows: record 0: an IPv4 address has more than four bytes" + mend);
  EXPECT_EQ(refusal(with(head + 45, 7)), "flows: record 0: its address family is neither 4 nor 6" + mend);
  EXPECT_EQ(refusal(with(head + 46, 2)), "flows: record 0: it belongs to no service of the header" + mend);
  EXPECT_EQ(refusal(with(head + 66, 2)), "flows: record 0: a flag has an unknown value" + mend);
}

TEST(RecordFile, AnyBytesAreReadOrRefused) {
  std::mt19937 random(1);
  const auto whole = bytes_of(header(), {record(1, 80), record(2, 8080)});
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = whole;
    bytes.resize(random() % (whole.size() + 1));
    for (unsigned flips = random() % 4; flips > 0 && !bytes.empty(); --flips)
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    const auto read = decode(bytes, "flows");
    if (!read) {
      ASSERT_EQ(read.error().line().find('\n'), std::string::npos);
    }
  }
}

TEST(RecordFile, AFileThatCannotBeWrittenIsAnError) {
  EXPECT_EQ(error_line(RecordWriter::create("/nowhere/flows", header())),
            "/nowhere/flows: cannot be written: No such file or directory; give a file on a disk with room");
  EXPECT_EQ(error_line(RecordWriter::create("/dev/full", header())),
            "/dev/full: cannot be written: No space left on device; give a file on a disk with room");
}

TEST(RecordFile, IsPlayedWithItsBackendsHandshakesAndTimes) {
  const Folder folder;
  Flags flags;
  flags.record_file = folder.write("flows", bytes_of(header(), {record(5, 80), record(1, 8080)}));
  EXPECT_EQ(error_line(load(flags)),
            flags.record_file + ": has 2 services; name one with --service: web or six");
  flags.service = "other";
  EXPECT_EQ(error_line(load(flags)), "--service: \"other\" is not in the recording; it has web and six");
  flags.service = "web";
  const auto read = load(flags);
  ASSERT_EQ(error_line(read), "no error");
  const lab::Scenario& scenario = read->scenario;
  ASSERT_EQ(scenario.recorded->size(), 2U);
  EXPECT_EQ((*scenario.recorded)[0].start, lab::kMillisecond);  // in the order of their start
  EXPECT_EQ((*scenario.recorded)[0].work, 250 * lab::kMillisecond);
  EXPECT_EQ((*scenario.recorded)[0].bytes, 1234U + 0x1234567890);
  EXPECT_TRUE(scenario.recorded_work);
  ASSERT_EQ(scenario.servers.size(), 2U);
  EXPECT_EQ(scenario.servers[0].backend.weight, 3U);
  EXPECT_EQ(scenario.servers[0].concurrency, 0U);
  EXPECT_EQ(scenario.servers[0].rtt.mean, 1.5 * lab::kMillisecond);
  EXPECT_EQ(scenario.vip.to_string(), "10.0.0.40");
  flags.service_time = "3ms";
  EXPECT_FALSE(load(flags)->scenario.recorded_work);
  flags.backends = {"10.7.7.7"};
  EXPECT_EQ(load(flags)->scenario.servers.size(), 1U);
}

}  // namespace
}  // namespace nfsteer::experiment
