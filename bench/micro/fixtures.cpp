#include "fixtures.hpp"

#include <algorithm>
#include <cassert>
#include <memory>
#include <stdexcept>
#include <utility>

#include "core/bytes.hpp"
#include "policy/catalogue.hpp"

namespace nfsteer::micro {
namespace {

const char* const kVip4 = "10.0.0.40";
const char* const kVip6 = "fd00::40";

core::IpAddress address(const std::string& text) {
  return core::IpAddress::parse(text).value();
}

core::SteeredService steered(core::Family family, core::Mode mode, std::uint32_t count, std::uint32_t slot) {
  core::SteeredService result;
  result.service.vip = address(family == core::Family::ipv4 ? kVip4 : kVip6);
  result.service.mode = mode;
  result.service.backends = backends(family, count);
  result.picker = policy::build({}, {result.service.backends});
  result.slot = slot;
  for (std::uint32_t index = 0; index < count; ++index)
    result.backend_slots.push_back(slot * count + index);
  return result;
}

}  // namespace

Bytes sample(const std::string& name) {
  const auto samples = test::valid_packets();
  const auto found = std::ranges::find(samples, name, &test::PacketSpec::name);
  if (found == samples.end()) throw std::logic_error("no packet named " + name);
  return test::build(*found);
}

Bytes tcp_data(std::size_t length) {
  constexpr std::size_t kHeaders = 40;
  test::PacketSpec spec;
  spec.tcp_flags = core::kTcpAck;
  spec.payload.resize(length - kHeaders);
  for (std::size_t at = 0; at < spec.payload.size(); ++at)
    spec.payload[at] = static_cast<std::uint8_t>(at * 7 + 1);
  return test::build(spec);
}

core::ParsedPacket parsed(const Bytes& packet) {
  core::ParsedPacket result;
  if (core::parse_packet(packet, packet.size(), result) != core::ParseOutcome::ok)
    throw std::logic_error("a fixture that does not parse");
  return result;
}

std::vector<core::Backend> backends(core::Family family, std::uint32_t count) {
  std::vector<core::Backend> result;
  for (std::uint32_t index = 0; index < count; ++index) {
    const std::string text = family == core::Family::ipv4 ? "10.1." + std::to_string(index / 250) + "." +
                                                                std::to_string(index % 250 + 1)
                                                          : "fd01::" + std::to_string(index + 1);
    result.push_back({address(text), 0, index % 4 + 1});
  }
  return result;
}

core::Snapshot snapshot(core::Mode mode, std::uint32_t count) {
  std::vector<core::SteeredService> services;
  services.push_back(steered(core::Family::ipv4, mode, count, 0));
  services.push_back(steered(core::Family::ipv6, mode, count, 1));
  return core::Snapshot(std::move(services));
}

Bytes queue_message(const Bytes& packet) {
  Bytes message = test::bytes_of(
      "00000000 0003 0000 00000000 00000000 02000000"
      "0b000100 00000001 0800 03 00"
      "08000600 00000002"
      "00000a00");
  assert(message.size() == kQueueMessageHeadBytes);
  // Netlink's own lengths are in the byte order of the machine.
  core::store<std::uint16_t>(message.data() + kQueueMessageHeadBytes - 4,
                             static_cast<std::uint16_t>(packet.size() + 4));
  message.insert(message.end(), packet.begin(), packet.end());
  core::store<std::uint32_t>(message.data(), static_cast<std::uint32_t>(message.size()));
  return message;
}

}  // namespace nfsteer::micro
