// How full conntrack's table is. Where it is full, the kernel drops the packets of new connections.
#pragma once

#include <cstdint>

namespace nfsteer::tracking {

struct ConntrackUse {
  std::uint64_t entries = 0;
  std::uint64_t entries_max = 0;
};

// Of the network namespace of the thread that asks; 0 what cannot be read.
ConntrackUse conntrack_use();

// net.netfilter.nf_conntrack_events: 0, none; 1, of every connection; 2, of those that begin while somebody
// listens. -1 where it cannot be read, or the kernel was built without events.
int conntrack_events_setting();

}  // namespace nfsteer::tracking
