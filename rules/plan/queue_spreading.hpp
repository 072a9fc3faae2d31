// How the packets of one group reach its queues. NFQUEUE's own --queue-balance looks at addresses only, so
// one busy client would keep one worker busy and leave the others idle. Here classic BPF programs spread by
// client address and ports as well; all groups use the same hash, so a flow belongs to one worker in each of
// them.
#pragma once

#include <map>
#include <string>

#include "core/queue_layout.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

// Up to this many workers stand in one chain, one rule each; more become a tree of halves.
inline constexpr unsigned kQueueListMax = 8;

// Matches the packets of the workers [first, last) out of `workers`, at most kWorkersMax. Never matches what
// has no ports within reach: other protocols, later fragments, IPv6 packets with extension headers.
//
// worker = hash(low word of the source address, source port, destination port) scaled to `workers`. The hash
// is multiplicative: connect() takes source ports of one parity as long as it can, so plain low bits would be
// no choice.
Bpf worker_match(Family family, unsigned workers, unsigned first, unsigned last);

// The chain that service rules go to in order to queue a packet in `group`.
std::string queue_chain_name(core::QueueGroup group);

// Adds that chain and those below it. Without `by_port` it is one --queue-balance rule.
void add_queue_chains(Family family, const core::QueueLayout& layout, core::QueueGroup group, bool by_port,
                      std::map<std::string, Chain>& chains);

}  // namespace nfsteer::rules
