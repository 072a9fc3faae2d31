// What a connection costs the tracker: its events read and applied, beside 65536 others that are open. One
// operation is one message, or one connection from its first event to its last.
#include <netinet/in.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <linux/netfilter/nf_conntrack_common.h>

#include "fixtures.hpp"
#include "netlink/conntrack_message.hpp"
#include "packet_builder.hpp"
#include "registry.hpp"
#include "tracking/connection_table.hpp"

namespace nfsteer::micro {
namespace {

using netlink::Connection;
using netlink::ConntrackChange;
using netlink::TcpState;

constexpr std::size_t kBackends = 1000;
constexpr std::uint32_t kOpen = 65536;

// The event of a new TCP connection, as the kernel lays it out.
Bytes new_tcp_event() {
  Bytes bytes = test::bytes_of(
      "d0000000 0001 0006 00000000 00000000 02000000"
      "34000180 14000180 08000100 0a00000a 08000200 0a000028 1c000280 0500010006000000 06000200c3500000 "
      "06000300 0050 0000"
      "34000280 14000180 08000100 0a000014 08000200 0a00000a 1c000280 0500010006000000 060002001f900000 "
      "06000300 c350 0000"
      "08000300 0000002a 10000480 0c000180 05000100 01000000 08000c00 deadbeef");
  bytes[0] = static_cast<std::uint8_t>(bytes.size());
  return bytes;
}

struct TableFixture {
  TableFixture() {
    core::SteeredService service;
    service.service.name = "any";
    service.service.vip = core::IpAddress::parse("10.0.0.40").value();
    service.service.backends = backends(core::Family::ipv4, kBackends);
    for (std::uint32_t slot = 0; slot < kBackends; ++slot)
      service.backend_slots.push_back(slot);
    slots.grow(kBackends);
    for (const core::Backend& each : service.service.backends) {
      auto& address = addresses.emplace_back();
      std::ranges::copy(each.address.bytes(), address.begin());
    }
    std::vector<core::SteeredService> services;
    services.push_back(std::move(service));
    table = std::make_unique<tracking::ConnectionTable>(
        slots, 1, std::make_shared<const core::Snapshot>(std::move(services)));
    for (std::uint32_t number = 0; number < kOpen; ++number)
      apply(ConntrackChange::created, connection(number, IPPROTO_UDP));
  }

  // The number tells the client's address and port, and the backend.
  Connection connection(std::uint32_t number, std::uint8_t protocol) const {
    Connection made;
    const std::uint32_t address = 0x0a640000 + (number >> 14);
    for (unsigned byte = 0; byte < 4; ++byte)
      made.original.source[byte] = static_cast<std::uint8_t>(address >> (24 - 8 * byte));
    made.original.destination = {10, 0, 0, 40};
    made.original.source_port = static_cast<std::uint16_t>(1024 + (number & 0x3fff));
    made.original.destination_port = 80;
    made.original.protocol = protocol;
    made.reply.source = addresses[number % kBackends];
    made.reply.source_port = 80;
    made.id = number;
    made.status = IPS_DST_NAT;
    return made;
  }

  void apply(ConntrackChange change, Connection made, TcpState state = TcpState::none) {
    made.tcp_state = state;
    table->apply(change, made, now);
  }

  tracking::Time now{std::chrono::seconds(1)};
  core::SlotBank<tracking::ConnectionCounters> slots;
  std::vector<std::array<std::uint8_t, 16>> addresses;
  std::unique_ptr<tracking::ConnectionTable> table;
};

}  // namespace

void add_tracking(const Registry& registry) {
  registry.add("conntrack_message/new_tcp", [] {
    return [datagram = new_tcp_event()] {
      netlink::ConntrackReader messages(datagram);
      for (netlink::ConntrackMessage message; messages.next(message);)
        benchmark::DoNotOptimize(message);
    };
  });
  registry.add("tracking/udp_flow", [] {
    return [f = std::make_unique<TableFixture>(), number = kOpen]() mutable {
      f->apply(ConntrackChange::created, f->connection(number, IPPROTO_UDP));
      f->apply(ConntrackChange::destroyed, f->connection(number - kOpen, IPPROTO_UDP));
      ++number;
    };
  });
  registry.add("tracking/tcp_connection", [] {
    return [f = std::make_unique<TableFixture>(), number = kOpen]() mutable {
      const Connection made = f->connection(number++, IPPROTO_TCP);
      f->apply(ConntrackChange::created, made, TcpState::syn_sent);
      for (const TcpState state : {TcpState::syn_received, TcpState::established, TcpState::fin_wait,
                                   TcpState::last_ack, TcpState::time_wait})
        f->apply(ConntrackChange::updated, made, state);
      f->apply(ConntrackChange::destroyed, made);
    };
  });
}

}  // namespace nfsteer::micro
