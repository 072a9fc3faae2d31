// What makes two packets belong to one flow: addresses, ports and protocol, as the client wrote them.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "core/address.hpp"

namespace nfsteer::core {

// One direction of a flow. The bytes are the value (no padding), so a key can be copied, compared and hashed
// as memory.
struct FlowKey {
  std::array<std::uint8_t, 16> source{};  // network byte order; IPv4 uses the first four, the rest stay zero
  std::array<std::uint8_t, 16> destination{};  // the same
  // Host byte order; 0 for protocols without ports. ICMP queries such as echo have their identifier as
  // source_port (it tells two pings of one client apart) and 0 as destination_port.
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;  // IANA number; for IPv6 that of the header behind the extension headers
  Family family = Family::ipv4;

  IpAddress source_address() const { return address_of(source); }
  IpAddress destination_address() const { return address_of(destination); }

  // A 64-bit hash of the whole key; every bit of it is as good as any other. The same key and seed give the
  // same value on every machine of one byte order. Keep the seed secret where clients must not be able to aim
  // for collisions; it is not a cryptographic hash.
  //
  // Each step multiplies two 64-bit words to 128 bits and xors the halves, as wyhash and its relatives do.
  // Every factor is masked with the seed, so nobody without it can choose a word that makes a factor zero and
  // hides the other one.
  std::uint64_t hash(std::uint64_t seed) const noexcept;

  friend bool operator==(const FlowKey&, const FlowKey&) = default;

 private:
  IpAddress address_of(const std::array<std::uint8_t, 16>& bytes) const {
    return IpAddress::from_bytes(family, {bytes.data(), family == Family::ipv4 ? 4U : 16U});
  }
};

static_assert(std::is_trivially_copyable_v<FlowKey>);
static_assert(std::has_unique_object_representations_v<FlowKey>);
static_assert(sizeof(FlowKey) == 38);

}  // namespace nfsteer::core
