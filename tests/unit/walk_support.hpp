// What the tests share that walk through rules with packets.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "core/flow.hpp"
#include "rules_support.hpp"
#include "walk/walk.hpp"

namespace nfsteer::rules {

inline constexpr TableId kNat{Family::ipv4, TableName::nat};

inline core::FlowKey flow(std::string_view source, std::uint16_t source_port, std::string_view destination,
                          std::uint16_t destination_port, std::uint8_t protocol) {
  core::FlowKey key;
  std::ranges::copy(address(source).bytes(), key.source.begin());
  std::ranges::copy(address(destination).bytes(), key.destination.begin());
  key.family = address(source).family();
  key.source_port = source_port;
  key.destination_port = destination_port;
  key.protocol = protocol;
  return key;
}

inline PacketView first_of(const core::FlowKey& key) {
  return {key, key, Conntrack::kNew, true, {}};
}

}  // namespace nfsteer::rules
