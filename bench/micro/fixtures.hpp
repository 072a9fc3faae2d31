// The packets and services that the benchmarks work on.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/packet.hpp"
#include "core/service.hpp"
#include "core/snapshot.hpp"
#include "packet_builder.hpp"

namespace nfsteer::micro {

using test::Bytes;

struct Fixture {
  std::string name;
  std::string sample;  // its name in test::valid_packets()
};

// First packets of connections, as clients send them.
inline const std::array kFirstPackets{
    Fixture{"tcp_syn_v4", "TCP SYN"},
    Fixture{"tcp_syn_v6", "TCP SYN over IPv6"},
    Fixture{"udp_v4", "UDP"},
    Fixture{"udp_v6", "UDP over IPv6"},
    Fixture{"icmp_v4", "ICMP echo request"},
    Fixture{"icmp_v6", "ICMP echo request over IPv6"},
};

// The numbers of backends that what depends on them is measured with.
inline constexpr std::array<std::uint32_t, 5> kBackendCounts{2, 10, 100, 1000, 10000};

// The packet of test::valid_packets() of this name.
Bytes sample(const std::string& name);

// A TCP segment of `length` bytes over IPv4, headers included, to the VIP.
Bytes tcp_data(std::size_t length);

core::ParsedPacket parsed(const Bytes& packet);

// Weights 1, 2, 3, 4, 1, ... so that no policy meets the special case of equal ones.
std::vector<core::Backend> backends(core::Family family, std::uint32_t count);

// Every protocol to the samples' destinations, IPv4 and IPv6, with `count` backends each.
core::Snapshot snapshot(core::Mode mode, std::uint32_t count);

// How many slots such a snapshot has for backends; it has two for services.
constexpr std::size_t slots(std::uint32_t count) {
  return std::size_t{2} * count;
}

// What the kernel sends for this packet when it queues it in OUTPUT: queue 0, header, output interface,
// payload.
Bytes queue_message(const Bytes& packet);
inline constexpr std::size_t kQueueMessageHeadBytes = 44;  // before the packet

}  // namespace nfsteer::micro
