// How the queues of each group are bound, and what a thread that reads one of every group needs for it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/queue_layout.hpp"
#include "netlink/nfqueue_message.hpp"

namespace nfsteer::netlink {

// Verdicts of one batch: enough to spread the cost of the send, few enough that none waits long for the
// others.
inline constexpr std::size_t kBatchMax = 64;

// For the messages of one batch.
inline constexpr std::size_t kArenaBytes = std::size_t{1} << 20;

// `queue_length` in packets; queues of whole GSO packets are made shorter.
BindRequest group_queue(const core::QueueLayout& layout, core::QueueGroup group, unsigned worker,
                        std::uint32_t queue_length);

// Of the socket that binds one queue of every group: room for full queues of what usually waits in them.
// Where it does not suffice, fail_open lets packets by.
std::size_t receive_bytes(std::uint32_t queue_length);

}  // namespace nfsteer::netlink
