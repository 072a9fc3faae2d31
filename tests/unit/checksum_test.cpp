#include "core/checksum.hpp"

#include <array>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "packet_builder.hpp"

namespace nfsteer::core {
namespace {

using test::Bytes;

std::uint16_t in_network_order(std::uint16_t as_in_memory) {
  std::array<std::uint8_t, 2> bytes{};
  store(bytes.data(), as_in_memory);
  return load_be16(bytes.data());
}

std::uint16_t in_memory_order(std::uint16_t value) {
  std::array<std::uint8_t, 2> bytes{};
  store_be16(bytes.data(), value);
  return load<std::uint16_t>(bytes.data());
}

Bytes random_bytes(std::mt19937_64& random, std::size_t length) {
  Bytes bytes(length);
  for (auto& byte : bytes)
    byte = static_cast<std::uint8_t>(random());
  return bytes;
}

std::uint32_t whole_crc32c(std::span<const std::uint8_t> bytes) {
  return crc32c_finish(crc32c(kCrc32cStart, bytes));
}

TEST(Checksum, ExampleOfRfc1071) {
  EXPECT_EQ(in_network_order(fold(internet_sum(test::bytes_of("0001 f203 f4f5 f6f7")))), 0xddf2);
}

TEST(Checksum, ExampleOfRfc1624) {
  const Bytes before = test::bytes_of("5555");
  const Bytes after = test::bytes_of("3285");
  EXPECT_EQ(update_checksum(in_memory_order(0xdd2f), change_of(before, after)), 0);
}

TEST(Checksum, SumEqualsTheNaiveOneAtEveryLengthAndAlignment) {
  std::mt19937_64 random(7);
  for (std::size_t length = 0; length < 300; ++length) {
    for (std::size_t shift = 0; shift < 9; ++shift) {
      const Bytes bytes = random_bytes(random, shift + length);
      const Bytes tail(bytes.begin() + static_cast<std::ptrdiff_t>(shift), bytes.end());
      const auto sum = internet_sum(std::span(bytes).subspan(shift));
      ASSERT_EQ(in_network_order(fold(sum)), test::naive_sum(tail))
          << "length " << length << ", shift " << shift;
    }
  }
}

TEST(Checksum, SumOfTheLargestPacketsDoesNotOverflow) {
  const Bytes bytes(512 * 1024, 0xff);
  EXPECT_EQ(fold(internet_sum(bytes)), 0xffff);
  EXPECT_EQ(fold(~InternetSum{0}), 0xffff);
}

TEST(Checksum, UpdateEqualsComputingAnew) {
  std::mt19937_64 random(8);
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = random_bytes(random, 40);
    const Bytes after = random_bytes(random, 2 + random() % 8 * 2);
    const std::size_t at = random() % 12 * 2;
    const auto checksum = checksum_of(internet_sum(bytes));
    const auto place = std::span(bytes).subspan(at, after.size());
    const auto change = change_of(place, after);
    std::copy(after.begin(), after.end(), place.begin());
    ASSERT_EQ(update_checksum(checksum, change), checksum_of(internet_sum(bytes)));
  }
}

TEST(Checksum, PseudoHeaderOfBothFamilies) {
  const Bytes a4 = test::bytes_of("0a00000a"), b4 = test::bytes_of("0a000028");
  EXPECT_EQ(in_network_order(fold(pseudo_header_sum(a4, b4, 17, 13))),
            test::naive_sum(test::bytes_of("0a00000a 0a000028 0011 000d")));
  const Bytes a6 = test::bytes_of("fd000000000000000000000000000010"),
              b6 = test::bytes_of("fd0000000000000000000000ffff0040");
  EXPECT_EQ(in_network_order(fold(pseudo_header_sum(a6, b6, 58, 0x12345))),
            test::naive_sum(test::bytes_of("fd000000000000000000000000000010 fd0000000000000000000000ffff0040"
                                           "00012345 0000003a")));
}

TEST(Checksum, Crc32cExamplesOfRfc3720) {
  Bytes counting(32);
  std::iota(counting.begin(), counting.end(), std::uint8_t{0});
  const Bytes falling(counting.rbegin(), counting.rend());
  const std::string digits = "123456789";
  EXPECT_EQ(whole_crc32c(Bytes(32, 0)), 0x8a9136aaU);
  EXPECT_EQ(whole_crc32c(Bytes(32, 0xff)), 0x62a8ab43U);
  EXPECT_EQ(whole_crc32c(counting), 0x46dd794eU);
  EXPECT_EQ(whole_crc32c(falling), 0x113fdb5cU);
  EXPECT_EQ(whole_crc32c(Bytes(digits.begin(), digits.end())), 0xe3069283U);
  EXPECT_EQ(whole_crc32c({}), 0U);
}

TEST(Checksum, Crc32cEqualsTheNaiveOneInPiecesOfAnySize) {
  std::mt19937_64 random(9);
  for (std::size_t length = 0; length < 200; ++length) {
    const Bytes bytes = random_bytes(random, length);
    const std::size_t cut = random() % (length + 1);
    const auto head = crc32c(kCrc32cStart, std::span(bytes).first(cut));
    ASSERT_EQ(crc32c_finish(crc32c(head, std::span(bytes).subspan(cut))), test::naive_crc32c(bytes))
        << length;
  }
}

}  // namespace
}  // namespace nfsteer::core
