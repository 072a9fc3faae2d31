// The bytes of a packet, or of its head only, for a parser that must not read past either end of them.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/bytes.hpp"
#include "core/packet.hpp"

namespace nfsteer::core {

class BoundedBytes {
 public:
  // `bytes` is the beginning of a packet of `length` bytes.
  BoundedBytes(std::span<const std::uint8_t> bytes, std::size_t length)
      : bytes_(bytes.first(std::min(bytes.size(), length))), length_(length) {}

  std::size_t length() const { return length_; }

  // False, and no change, if the packet is shorter than `length`.
  bool cut_to(std::size_t length) {
    if (length > length_) return false;
    *this = BoundedBytes(bytes_, length);
    return true;
  }

  // `none` if all bytes before `end` are at hand. The readers below are for those alone.
  ParseFault require(std::size_t end) const {
    if (end <= bytes_.size()) return ParseFault::none;
    return end > length_ ? ParseFault::too_short : ParseFault::not_captured;
  }

  std::uint8_t byte(std::size_t at) const {
    assert(at < bytes_.size());
    return bytes_[at];
  }
  std::uint16_t be16(std::size_t at) const {
    assert(at + 2 <= bytes_.size());
    return load_be16(bytes_.data() + at);
  }
  template <std::size_t size, std::size_t room>
  void copy(std::size_t at, std::array<std::uint8_t, room>& to) const {
    static_assert(size <= room);
    assert(at + size <= bytes_.size());
    std::memcpy(to.data(), bytes_.data() + at, size);
  }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t length_;
};

}  // namespace nfsteer::core
