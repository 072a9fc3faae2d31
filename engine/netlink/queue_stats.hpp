// The kernel's own counters of every NFQUEUE in this network namespace, from
// /proc/net/netfilter/nfnetlink_queue (seq_show in net/netfilter/nfnetlink_queue.c).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace nfsteer::netlink {

// Counters start at zero when the queue is bound.
struct QueueStats {
  std::uint16_t queue = 0;
  std::uint32_t owner_port_id = 0;  // netlink port of the socket that bound it: port_owner.hpp
  std::uint32_t waiting = 0;        // packets without a verdict
  std::uint32_t copy_mode = 0;      // 0 nothing, 1 metadata, 2 packets
  std::uint32_t copy_range = 0;     // bytes
  std::uint32_t dropped_full = 0;   // the queue was full
  std::uint32_t dropped_user = 0;   // the socket's receive buffer was full
  std::uint32_t id_sequence =
      0;  // packets that were given an id: all but those that a full queue dropped or let by
  // Neither drop counter moves where fail_open let the packet pass instead.

  friend bool operator==(const QueueStats&, const QueueStats&) = default;
};

// `text` is the whole file. Errors: a line that is not the kernel's.
core::Result<std::vector<QueueStats>> parse_queue_stats(std::string_view text);

// Of the calling thread's network namespace. Errors: the file is missing (no NFQUEUE in this kernel) or
// unreadable.
core::Result<std::vector<QueueStats>> read_queue_stats();

}  // namespace nfsteer::netlink
