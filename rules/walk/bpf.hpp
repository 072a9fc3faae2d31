// Classic BPF programs of rules, run on the headers of a packet as xt_bpf would run them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/flow.hpp"
#include "plan/rule.hpp"

namespace nfsteer::rules {

// The head of the shortest packet of this flow: an IP header without options or extension headers, and behind
// it the two ports of a protocol that has them.
std::vector<std::uint8_t> head_of(const core::FlowKey& flow);

// True where the program returns something else than 0. A load outside of the packet ends a program with 0.
// Knows the instructions that plan/queue_spreading.hpp writes.
bool matches(const Bpf& bpf, std::span<const std::uint8_t> packet);

}  // namespace nfsteer::rules
