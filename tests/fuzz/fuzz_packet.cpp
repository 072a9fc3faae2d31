// Any bytes as a packet: parsed and rewritten, they must keep what core/packet.hpp and core/rewrite.hpp
// promise.
//
// The input is one byte of choices, one that says how much longer the packet is than its copy, and the copy.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "core/packet.hpp"
#include "core/rewrite.hpp"

namespace {

using namespace nfsteer::core;

void require(bool promise) {
  if (!promise) std::abort();
}

constexpr std::array<std::uint8_t, 16> kElsewhere{10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 255, 254, 253, 252, 251};

IpAddress elsewhere(Family family) {
  return IpAddress::from_bytes(family, {kElsewhere.data(), family == Family::ipv4 ? 4U : 16U});
}

bool touches_only(const std::vector<std::uint8_t>& before, const std::vector<std::uint8_t>& after,
                  const ParsedPacket& parsed) {
  const bool is_v4 = parsed.flow.family == Family::ipv4;
  for (std::size_t at = 0; at < before.size(); ++at) {
    if (before[at] == after[at]) continue;
    const bool is_ip = is_v4 ? (at >= 16 && at < 20) || at == 10 || at == 11 : at >= 24 && at < 40;
    const bool is_transport =
        parsed.transport != Transport::none && at >= parsed.l4_offset + 2U && at < parsed.l4_offset + 18U;
    if (!is_ip && !is_transport) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto state = (data[0] & 1) != 0 ? ChecksumState::partial : ChecksumState::complete;
  const std::uint16_t port = (data[0] & 2) != 0 ? 8080 : 0;
  const std::vector<std::uint8_t> before(data + 2, data + size);
  const std::size_t full_length = before.size() + data[1] * 5U;

  ParsedPacket parsed;
  const ParseOutcome outcome = parse_packet(before, full_length, parsed);
  require((outcome == ParseOutcome::ok) == (parsed.fault == ParseFault::none));
  require(outcome != ParseOutcome::malformed || to_string(parsed.fault) != "not-captured");
  if (outcome != ParseOutcome::ok) return 0;
  require(parsed.length <= full_length);
  require(parsed.l4_offset <= before.size());
  require(parsed.l4_offset + parsed.l4_header_length <= parsed.length);

  std::vector<std::uint8_t> after = before;
  const auto rewritten = rewrite_destination(after, parsed, elsewhere(parsed.flow.family), port, state);
  if (rewritten != RewriteOutcome::rewritten) {
    require(after == before);
    return 0;
  }
  require(touches_only(before, after, parsed));

  ParsedPacket again;
  require(parse_packet(after, full_length, again) == ParseOutcome::ok);
  FlowKey expected = parsed.flow;
  std::copy_n(kElsewhere.begin(), parsed.flow.family == Family::ipv4 ? 4 : 16, expected.destination.begin());
  if (port != 0 && has_ports(parsed.transport)) expected.destination_port = port;
  require(again.flow == expected);
  require(again.l4_offset == parsed.l4_offset && again.length == parsed.length);

  // Once more is no change; and the way back ends where it began.
  const std::vector<std::uint8_t> settled = after;
  require(rewrite_destination(after, again, elsewhere(parsed.flow.family), port, ChecksumState::complete) ==
          RewriteOutcome::unchanged);
  require(after == settled);
  const auto back = rewrite_destination(after, again, parsed.flow.destination_address(),
                                        parsed.flow.destination_port, ChecksumState::complete);
  if (back == RewriteOutcome::rewritten) {
    require(parse_packet(after, full_length, again) == ParseOutcome::ok);
    const bool had_port = parsed.flow.destination_port != 0 || port == 0;
    require(!had_port || again.flow == parsed.flow);
  }
  return 0;
}
