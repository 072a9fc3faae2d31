#include "netlink/group_queue.hpp"

#include <algorithm>

#include "core/packet.hpp"
#include "netlink/queue_socket.hpp"

namespace nfsteer::netlink {
namespace {

// Large packets (GSO) make short queues: 256 of them are 16 MiB.
constexpr std::uint32_t kRewriteLengthMax = 256;

}  // namespace

BindRequest group_queue(const core::QueueLayout& layout, core::QueueGroup group, unsigned worker,
                        std::uint32_t queue_length) {
  BindRequest request;
  request.queue = layout.queue(group, worker);
  request.length_max = queue_length;
  request.fail_open = true;
  switch (group) {
    case core::QueueGroup::first:
      break;  // whole packets, whole checksums: the rewrite is an incremental one
    case core::QueueGroup::inspect:
      request.gso = true;
      request.copy_range = core::kHeaderCopyLength;
      break;
    case core::QueueGroup::rewrite:
      request.gso = true;
      request.length_max = std::min(queue_length, kRewriteLengthMax);
      break;
  }
  return request;
}

std::size_t receive_bytes(std::uint32_t queue_length) {
  constexpr std::size_t kMtu = 1500;
  return receive_budget(queue_length, kMtu) + receive_budget(queue_length, core::kHeaderCopyLength) +
         receive_budget(std::min(queue_length, kRewriteLengthMax), kCopyRangeMax);
}

}  // namespace nfsteer::netlink
