#include "core/checksum.hpp"

#include <array>
#include <cassert>
#include <cstddef>

namespace nfsteer::core {
namespace {

// kTables[k][b] is the CRC of byte b followed by k zero bytes: eight bytes go in at once ("slicing by
// eight").
constexpr std::size_t kSlices = 8;
using CrcTables = std::array<std::array<std::uint32_t, 256>, kSlices>;

constexpr CrcTables make_tables() {
  constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, bit-reversed
  CrcTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t state = byte;
    for (int bit = 0; bit < 8; ++bit)
      state = (state >> 1) ^ ((state & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = state;
  }
  for (std::size_t slice = 1; slice < kSlices; ++slice) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t state = tables[slice - 1][byte];
      tables[slice][byte] = (state >> 8) ^ tables[0][state & 0xff];
    }
  }
  return tables;
}

constexpr CrcTables kTables = make_tables();

std::uint32_t load_le32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(at[0]) | static_cast<std::uint32_t>(at[1]) << 8 |
         static_cast<std::uint32_t>(at[2]) << 16 | static_cast<std::uint32_t>(at[3]) << 24;
}

}  // namespace

InternetSum internet_sum(std::span<const std::uint8_t> bytes) noexcept {
  // 32-bit words into 64 bits: no carry to care for, and a loop that compilers vectorize.
  const std::uint8_t* at = bytes.data();
  const std::size_t words = bytes.size() / 4;
  InternetSum sum = 0;
  for (std::size_t word = 0; word < words; ++word)
    sum += load<std::uint32_t>(at + word * 4);
  at += words * 4;
  if ((bytes.size() & 2) != 0) {
    sum += load<std::uint16_t>(at);
    at += 2;
  }
  if ((bytes.size() & 1) != 0) {
    const std::array<std::uint8_t, 2> padded{*at, 0};
    sum += load<std::uint16_t>(padded.data());
  }
  return sum;
}

InternetSum pseudo_header_sum(std::span<const std::uint8_t> source, std::span<const std::uint8_t> destination,
                              std::uint8_t protocol, std::uint32_t length) noexcept {
  std::array<std::uint8_t, 6> rest{};
  store_be16(rest.data(), static_cast<std::uint16_t>(length >> 16));
  store_be16(rest.data() + 2, static_cast<std::uint16_t>(length));
  rest[5] = protocol;
  return internet_sum(source) + internet_sum(destination) + internet_sum(rest);
}

InternetSum change_of(std::span<const std::uint8_t> before, std::span<const std::uint8_t> after) noexcept {
  assert(before.size() == after.size() && before.size() % 2 == 0);
  InternetSum change = 0;
  for (std::size_t at = 0; at < before.size(); at += 2) {
    change += static_cast<std::uint16_t>(~load<std::uint16_t>(before.data() + at));
    change += load<std::uint16_t>(after.data() + at);
  }
  return change;
}

std::uint32_t crc32c(std::uint32_t state, std::span<const std::uint8_t> bytes) noexcept {
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= kSlices; at += kSlices, left -= kSlices) {
    const std::uint32_t low = load_le32(at) ^ state;
    const std::uint32_t high = load_le32(at + 4);
    state = kTables[7][low & 0xff] ^ kTables[6][low >> 8 & 0xff] ^ kTables[5][low >> 16 & 0xff] ^
            kTables[4][low >> 24] ^ kTables[3][high & 0xff] ^ kTables[2][high >> 8 & 0xff] ^
            kTables[1][high >> 16 & 0xff] ^ kTables[0][high >> 24];
  }
  for (; left > 0; ++at, --left)
    state = (state >> 8) ^ kTables[0][(state ^ *at) & 0xff];
  return state;
}

}  // namespace nfsteer::core
