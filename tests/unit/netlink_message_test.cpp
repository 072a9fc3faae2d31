// NFQUEUE messages as tables of bytes. The bytes are a little-endian kernel's, as received.
#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "netlink/nfqueue_message.hpp"
#include "packet_builder.hpp"

namespace nfsteer::netlink {
namespace {

using test::Bytes;
using test::bytes_of;

// A SYN to 10.0.0.40 in OUTPUT, sent by Linux 6.18: header, output interface, payload.
const char* const kSyn =
    "68000000 0003 0000 00000000 00000000 02000000"
    "0b000100 00000001 0800 03 00"
    "08000600 00000002"
    "40000a00 4500003c cdc54000 400658ce 0a000001 0a000028 dc601451 71fa7836 00000000 a002faf0"
    "ee2d0000 020405b4 0402080a 0c5d6376 00000000 0103030a";

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

// A packet message of `queue` 5 with these attributes; the length is filled in.
Bytes packet_message(const std::string& attributes) {
  Bytes bytes = bytes_of("00000000 0003 0000 00000000 00000000 02000005" + attributes);
  bytes[0] = static_cast<std::uint8_t>(bytes.size());
  return bytes;
}

const char* const kHeader = "0b000100 01020304 86dd 00 00";

std::vector<Message> read_all(Bytes& datagram) {
  std::vector<Message> all;
  MessageReader messages(datagram);
  for (Message message; messages.next(message);)
    all.push_back(message);
  return all;
}

std::vector<MessageKind> kinds(Bytes datagram) {
  std::vector<MessageKind> all;
  for (const Message& message : read_all(datagram))
    all.push_back(message.kind);
  return all;
}

TEST(NfqueueMessage, ReadsWhatTheKernelSends) {
  Bytes datagram = bytes_of(kSyn);
  const auto messages = read_all(datagram);
  ASSERT_EQ(messages.size(), 1U);
  ASSERT_EQ(messages[0].kind, MessageKind::packet);
  const QueuedPacket& packet = messages[0].packet;
  EXPECT_EQ(packet.queue, 0);
  EXPECT_EQ(packet.id, 1U);
  EXPECT_EQ(packet.hook, 3);
  EXPECT_EQ(packet.hw_protocol, 0x0800);
  EXPECT_EQ(packet.indev, 0U);
  EXPECT_EQ(packet.outdev, 2U);
  EXPECT_EQ(packet.full_length, 60U);
  EXPECT_FALSE(packet.checksum_not_ready);
  EXPECT_FALSE(packet.gso);
  EXPECT_FALSE(packet.truncated());
  // The payload lies in the datagram, to be changed there.
  EXPECT_EQ(packet.payload.data(), datagram.data() + 44);
  EXPECT_EQ(packet.payload.size(), 60U);
}

TEST(NfqueueMessage, ReadsEveryAttributeItKnowsAndSkipsTheOthers) {
  Bytes datagram = packet_message(std::string(kHeader) +
                                  "08000500 00000007"                   // input interface
                                  "08000300 000000ff"                   // mark: skipped
                                  "10000900 00060000 aabbccddeeff0000"  // hardware address: skipped
                                  "05007f00 ff000000"    // no attribute of this kernel: skipped
                                  "08000e00 00000003"    // checksum not ready, GSO
                                  "08000d00 00010000"    // 65536 bytes of which ...
                                  "06000a00 60000000");  // ... two were copied
  const auto messages = read_all(datagram);
  ASSERT_EQ(messages.size(), 1U);
  ASSERT_EQ(messages[0].kind, MessageKind::packet);
  const QueuedPacket& packet = messages[0].packet;
  EXPECT_EQ(packet.queue, 5);
  EXPECT_EQ(packet.id, 0x01020304U);
  EXPECT_EQ(packet.hw_protocol, 0x86dd);
  EXPECT_EQ(packet.indev, 7U);
  EXPECT_TRUE(packet.checksum_not_ready);
  EXPECT_TRUE(packet.gso);
  EXPECT_EQ(packet.full_length, 65536U);
  EXPECT_EQ(packet.payload.size(), 2U);
  EXPECT_TRUE(packet.truncated());
}

TEST(NfqueueMessage, ForgetsThePreviousPacket) {
  Bytes datagram = bytes_of(kSyn) + packet_message(kHeader);
  const auto messages = read_all(datagram);
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[1].packet.outdev, 0U);
  EXPECT_TRUE(messages[1].packet.payload.empty());
  EXPECT_EQ(messages[1].packet.full_length, 0U);
}

struct KindCase {
  std::string name;
  Bytes datagram;
  std::vector<MessageKind> expected;
};

class MessageKinds : public testing::TestWithParam<KindCase> {};

TEST_P(MessageKinds, AreToldApart) {
  EXPECT_EQ(kinds(GetParam().datagram), GetParam().expected);
}

constexpr auto kPacket = MessageKind::packet;
constexpr auto kMalformed = MessageKind::malformed;
constexpr auto kOther = MessageKind::other;

const char* const kAck = "24000000 0200 0001 07000000 00000000 00000000 24000000 02030005 07000000 00000000";

INSTANTIATE_TEST_SUITE_P(
    NfqueueMessage, MessageKinds,
    testing::Values(
        KindCase{"Empty", {}, {}},
        KindCase{"SeveralInOneDatagram",
                 bytes_of(kSyn) + bytes_of(kAck) + bytes_of(kSyn),
                 {kPacket, MessageKind::ack, kPacket}},
        KindCase{"UnpaddedLast",
                 bytes_of(kSyn) + packet_message(std::string(kHeader) + "05000a00 60"),
                 {kPacket, kPacket}},
        KindCase{"Ack", bytes_of(kAck), {MessageKind::ack}},
        KindCase{"Error", bytes_of("14000000 0200 0000 00000000 00000000 feffffff"), {MessageKind::error}},
        KindCase{"ErrorWithoutCode", bytes_of("12000000 0200 0000 00000000 00000000 feff"), {kMalformed}},
        KindCase{"ErrorAboveZero", bytes_of("14000000 0200 0000 00000000 00000000 01000000"), {kMalformed}},
        KindCase{
            "ErrorBelowEveryErrno", bytes_of("14000000 0200 0000 00000000 00000000 00000080"), {kMalformed}},
        KindCase{"Overrun", bytes_of("10000000 0400 0000 00000000 00000000"), {MessageKind::overrun}},
        KindCase{"Noop", bytes_of("10000000 0100 0000 00000000 00000000"), {kOther}},
        KindCase{"OtherSubsystem", bytes_of("10000000 0001 0000 00000000 00000000"), {kOther}},
        KindCase{"HalfAHeader", bytes_of("10000000 0100 0000"), {kMalformed}},
        KindCase{"LengthZero", bytes_of("00000000 0003 0000 00000000 00000000"), {kMalformed}},
        KindCase{"LengthBeyondTheEnd", bytes_of("11000000 0003 0000 00000000 00000000"), {kMalformed}},
        KindCase{"LengthOf4GiB", bytes_of("ffffffff 0003 0000 00000000 00000000"), {kMalformed}},
        KindCase{"NoNetfilterHeader", bytes_of("10000000 0003 0000 00000000 00000000"), {kMalformed}},
        KindCase{"NoAttributes", packet_message(""), {kMalformed}},
        KindCase{"NoPacketHeader", packet_message("05000a00 60000000"), {kMalformed}},
        KindCase{"HeaderOnly", packet_message(kHeader), {kPacket}},
        KindCase{"ShortPacketHeader", packet_message("0a000100 01020304 86dd 0000"), {kMalformed}},
        KindCase{"AttributeLengthZero", packet_message(std::string(kHeader) + "00000a00"), {kMalformed}},
        KindCase{"AttributeLengthThree", packet_message(std::string(kHeader) + "03000a00"), {kMalformed}},
        KindCase{"AttributeBeyondTheMessage",
                 packet_message(std::string(kHeader) + "09000a00 60000000"),
                 {kMalformed}},
        KindCase{"ShortInterface", packet_message(std::string(kHeader) + "06000500 00010000"), {kMalformed}},
        KindCase{"LongInterface",
                 packet_message(std::string(kHeader) + "0c000600 00000001 00000000"),
                 {kMalformed}},
        KindCase{"EmptyFlags", packet_message(std::string(kHeader) + "04000e00"), {kMalformed}},
        KindCase{"EmptyFullLength", packet_message(std::string(kHeader) + "04000d00"), {kMalformed}},
        KindCase{"MalformedDoesNotHideTheNext", packet_message("") + bytes_of(kSyn), {kMalformed, kPacket}},
        KindCase{"NothingAfterBrokenFraming",
                 bytes_of("08000000 0003 0000 00000000 00000000") + bytes_of(kSyn),
                 {kMalformed}}),
    [](const auto& tested) { return tested.param.name; });

TEST(NfqueueMessage, AnswersNameTheirRequestAndError) {
  Bytes datagram = bytes_of("14000000 0200 0000 09000000 00000000 feffffff") + bytes_of(kAck);
  const auto messages = read_all(datagram);
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].sequence, 9U);
  EXPECT_EQ(messages[0].error, ENOENT);
  EXPECT_EQ(messages[1].sequence, 7U);
  EXPECT_EQ(messages[1].error, 0);
}

// Cut anywhere, a message is never taken for a packet, and nothing outside is read (the sanitizers look on).
TEST(NfqueueMessage, EveryTruncationIsMalformed) {
  const Bytes whole = bytes_of(kSyn);
  for (std::size_t length = 1; length < whole.size(); ++length) {
    EXPECT_THAT(kinds(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length))),
                testing::ElementsAre(kMalformed))
        << length;
  }
}

struct BindCase {
  std::string name;
  BindRequest request;
  std::string parameters;  // copy range, mode
  std::string length_max;
  std::string flags;
};

class BindMessages : public testing::TestWithParam<BindCase> {};

TEST_P(BindMessages, HoldEverythingAboutTheQueue) {
  const BindCase& param = GetParam();
  Bytes buffer(kConfigBytesMax, 0xee);
  buffer.resize(build_bind(buffer, param.request, 0x11));
  EXPECT_EQ(buffer,
            bytes_of("40000000 0203 0500 11000000 00000000 00001234"  // CONFIG, REQUEST and ACK, queue
                     "08000100 01 00 0000"                            // bind
                     "09000200" +
                     param.parameters +
                     "000000"
                     "08000300" +
                     param.length_max + "08000500" + param.flags +
                     "08000400 00000005"));  // the flags that are meant
}

INSTANTIATE_TEST_SUITE_P(
    NfqueueMessage, BindMessages,
    testing::Values(
        BindCase{"Plain", {0x1234, kCopyRangeMax, 1024, false, false}, "0000fffb 02", "00000400", "00000000"},
        BindCase{
            "FailOpen", {0x1234, kCopyRangeMax, 4096, false, true}, "0000fffb 02", "00001000", "00000001"},
        BindCase{"Gso", {0x1234, 128, 1, true, false}, "00000080 02", "00000001", "00000004"},
        BindCase{"Both", {0x1234, 1, 1, true, true}, "00000001 02", "00000001", "00000005"}),
    [](const auto& tested) { return tested.param.name; });

TEST(NfqueueMessage, UnbindNamesTheQueue) {
  Bytes buffer(kConfigBytesMax, 0xee);
  buffer.resize(build_unbind(buffer, 0x1234, 2));
  EXPECT_EQ(buffer, bytes_of("1c000000 0203 0500 02000000 00000000 00001234 08000100 02 00 0000"));
}

TEST(NfqueueMessage, ProbeNamesNoQueue) {
  Bytes buffer(kConfigBytesMax, 0xee);
  buffer.resize(build_probe(buffer, 1));
  EXPECT_EQ(buffer, bytes_of("1c000000 0203 0500 01000000 00000000 00000000 08000100 03 00 0002"));
}

}  // namespace
}  // namespace nfsteer::netlink
