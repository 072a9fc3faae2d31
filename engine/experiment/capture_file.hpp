// Flows from a packet capture: the first packet of each 5-tuple begins one, unless the other direction has
// been seen before.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/address.hpp"
#include "core/result.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::experiment {

struct Capture {
  std::vector<lab::Flow> flows;  // in the order of their start, which counts from the first packet's time;
                                 // what they want is not known
  bool is_cut = false;           // the file ends inside a packet
};

// Whatever libpcap reads, pcap and pcapng, of Ethernet (with VLANs), Linux "cooked", loopback and raw IP.
// With `vip`, only flows to it. Packets that are no flows of this engine (core::parse_packet()) are skipped.
core::Result<Capture> read_capture(const std::string& path, const std::optional<core::IpAddress>& vip);

}  // namespace nfsteer::experiment
