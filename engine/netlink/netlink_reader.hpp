// Taking netlink messages apart: framing and attributes, for the readers of this folder. Never reads outside
// of what it is given; no alignment needed.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include <linux/netlink.h>

namespace nfsteer::netlink {

template <typename T>
T load(const std::uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// False, and `out` as it was, if the value has not the size of its type.
inline bool load_be32(std::span<const std::uint8_t> value, std::uint32_t& out) {
  if (value.size() != sizeof out) return false;
  out = ntohl(load<std::uint32_t>(value.data()));
  return true;
}

// Byte: std::uint8_t, const or not.
template <typename Byte>
struct Framed {
  nlmsghdr header;
  std::span<Byte> body;
};

// Takes the first message off `rest`, which is not empty; nothing, and `rest` is used up, where the framing
// is broken.
template <typename Byte>
std::optional<Framed<Byte>> take_message(std::span<Byte>& rest) {
  nlmsghdr header{};
  if (rest.size() >= sizeof header) header = load<nlmsghdr>(rest.data());
  if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size()) {
    rest = {};
    return std::nullopt;
  }
  const auto body = rest.subspan(sizeof header, header.nlmsg_len - sizeof header);
  rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
  return Framed<Byte>{header, body};
}

// visit(type, value) -> bool; false, there or here, means that these are not the attributes the kernel sends.
template <typename Byte, typename Visit>
bool for_each_attribute(std::span<Byte> attributes, Visit visit) {
  while (attributes.size() >= sizeof(nlattr)) {
    const auto attribute = load<nlattr>(attributes.data());
    if (attribute.nla_len < sizeof(nlattr) || attribute.nla_len > attributes.size()) return false;
    if (!visit(attribute.nla_type & NLA_TYPE_MASK,
               attributes.subspan(sizeof(nlattr), attribute.nla_len - sizeof(nlattr))))
      return false;
    attributes = attributes.subspan(std::min<std::size_t>(NLA_ALIGN(attribute.nla_len), attributes.size()));
  }
  return true;
}

// The errno of an NLMSG_ERROR, 0 for an acknowledgement; nothing where it is neither.
inline std::optional<int> error_in(std::span<const std::uint8_t> body) {
  if (body.size() < sizeof(std::int32_t)) return std::nullopt;
  const auto code = load<std::int32_t>(body.data());
  constexpr int kErrnoMax = 4095;  // include/linux/err.h
  if (code > 0 || code < -kErrnoMax) return std::nullopt;
  return -code;
}

}  // namespace nfsteer::netlink
