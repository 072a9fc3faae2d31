#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "netlink/nfqueue_message.hpp"
#include "netlink/verdict_batch.hpp"
#include "packet_builder.hpp"

namespace nfsteer::netlink {
namespace {

using test::Bytes;
using test::bytes_of;

constexpr std::size_t kBytesMax = std::size_t{1} << 18;

// What sendmsg would make of the batch.
Bytes sent(VerdictBatch& batch, std::size_t first, std::size_t last) {
  Bytes bytes;
  for (const iovec& part : batch.parts(first, last)) {
    const auto* begin = static_cast<const std::uint8_t*>(part.iov_base);
    bytes.insert(bytes.end(), begin, begin + part.iov_len);
  }
  return bytes;
}

Bytes sent(VerdictBatch& batch) {
  return sent(batch, 0, batch.size());
}

Bytes counting(std::size_t length) {
  Bytes bytes(length);
  for (std::size_t at = 0; at < length; ++at)
    bytes[at] = static_cast<std::uint8_t>(at * 7 + 1);
  return bytes;
}

// An accept with payload, built independently.
Bytes expected_accept(std::uint16_t queue, std::uint8_t id, const Bytes& payload) {
  const std::size_t padded = (payload.size() + 3) / 4 * 4;
  Bytes bytes = bytes_of("00000000 0103 0100 00000000 00000000 00000000 0c000200 00000001 00000000 00000a00");
  const std::size_t length = bytes.size() + padded;
  const std::size_t attribute = payload.size() + 4;
  for (unsigned at = 0; at < 4; ++at)
    bytes[at] = static_cast<std::uint8_t>(length >> (8 * at));
  bytes[18] = static_cast<std::uint8_t>(queue >> 8);
  bytes[19] = static_cast<std::uint8_t>(queue);
  bytes[31] = id;
  bytes[32] = static_cast<std::uint8_t>(attribute);
  bytes[33] = static_cast<std::uint8_t>(attribute >> 8);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  bytes.resize(length);
  return bytes;
}

TEST(VerdictBatch, SaysAcceptAndDrop) {
  VerdictBatch batch(kBytesMax);
  batch.accept(0x1234, 0x01020304);
  batch.drop(1, 0xffffffff);
  EXPECT_EQ(sent(batch),
            bytes_of("20000000 0103 0100 00000000 00000000 00001234 0c000200 00000001 01020304"
                     "20000000 0103 0100 00000000 00000000 00000001 0c000200 00000000 ffffffff"));
  EXPECT_EQ(batch.size(), 2U);
  EXPECT_EQ(batch.bytes(), 64U);
}

class PayloadLengths : public testing::TestWithParam<std::size_t> {};

TEST_P(PayloadLengths, TravelWholeAndPadded) {
  const Bytes payload = counting(GetParam());
  VerdictBatch batch(kBytesMax);
  batch.accept(9, 1, payload);
  batch.accept(9, 2, payload);
  batch.accept(9, 3);
  Bytes expected = expected_accept(9, 1, payload);
  const Bytes second = expected_accept(9, 2, payload);
  const Bytes third = bytes_of("20000000 0103 0100 00000000 00000000 00000009 0c000200 00000001 00000003");
  expected.insert(expected.end(), second.begin(), second.end());
  expected.insert(expected.end(), third.begin(), third.end());
  EXPECT_EQ(sent(batch), expected);
  EXPECT_EQ(batch.bytes(), expected.size());
  // Any range is whole messages.
  EXPECT_EQ(sent(batch, 1, 2), second);
  EXPECT_EQ(sent(batch, 2, 3), third);
}

INSTANTIATE_TEST_SUITE_P(VerdictBatch, PayloadLengths,
                         testing::Values(1, 2, 3, 4, 60, VerdictBatch::kCopiedBytesMax - 1,
                                         VerdictBatch::kCopiedBytesMax, VerdictBatch::kCopiedBytesMax + 1,
                                         VerdictBatch::kCopiedBytesMax + 2, VerdictBatch::kCopiedBytesMax + 3,
                                         1500, 65000, kCopyRangeMax));

TEST(VerdictBatch, ReferencesLongPayloadsAndCopiesShortOnes) {
  Bytes small = counting(VerdictBatch::kCopiedBytesMax);
  Bytes large = counting(VerdictBatch::kCopiedBytesMax + 1);
  VerdictBatch batch(kBytesMax);
  batch.accept(0, 1, small);
  EXPECT_EQ(batch.parts(0, 1).size(), 1U);
  batch.accept(0, 2, large);
  const auto parts = batch.parts(0, 2);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[1].iov_base, large.data());
  std::fill(small.begin(), small.end(), std::uint8_t{0});
  EXPECT_EQ(sent(batch, 0, 1), expected_accept(0, 1, counting(VerdictBatch::kCopiedBytesMax)));
}

TEST(VerdictBatch, IsFullBeforeItsBytesRunOut) {
  const Bytes payload = counting(kCopyRangeMax);
  VerdictBatch batch(3 * VerdictBatch::kMessageBytesMax);
  for (std::uint32_t id = 0; !batch.full(); ++id)
    batch.accept(0, id, payload);
  EXPECT_EQ(batch.size(), 3U);
  EXPECT_EQ(batch.bytes(), 3 * VerdictBatch::kMessageBytesMax);
}

TEST(VerdictBatch, IsFullBeforeSendmsgRunsOutOfParts) {
  constexpr std::size_t kUioMaxIov = 1024;
  const Bytes payload = counting(VerdictBatch::kCopiedBytesMax + 1);
  VerdictBatch batch(std::size_t{1} << 24);
  while (!batch.full())
    batch.accept(0, 0, payload);
  EXPECT_EQ(batch.size(), VerdictBatch::kMessagesMax);
  EXPECT_LE(batch.parts(0, batch.size()).size(), kUioMaxIov);
}

TEST(VerdictBatch, HoldsAFullLoadOfTheLongestCopiedPayloads) {
  const Bytes payload = counting(VerdictBatch::kCopiedBytesMax);
  VerdictBatch batch(std::size_t{1} << 24);
  while (!batch.full())
    batch.accept(0, 7, payload);
  EXPECT_EQ(batch.size(), VerdictBatch::kMessagesMax);
  EXPECT_EQ(batch.parts(0, batch.size()).size(), 1U);
  EXPECT_EQ(sent(batch, batch.size() - 1, batch.size()), expected_accept(0, 7, payload));
}

TEST(VerdictBatch, StartsAnewAfterClear) {
  const Bytes copied(200, 0xff);  // leaves its bytes where the next round's padding comes to lie
  VerdictBatch batch(kBytesMax);
  batch.accept(0, 1, copied);
  batch.clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.bytes(), 0U);
  EXPECT_TRUE(batch.parts(0, 0).empty());
  for (const std::size_t length : {1501U, 61U}) {
    const Bytes payload = counting(length);
    batch.accept(0, 3, payload);
    EXPECT_EQ(sent(batch), expected_accept(0, 3, payload));
    batch.clear();
  }
}

}  // namespace
}  // namespace nfsteer::netlink
