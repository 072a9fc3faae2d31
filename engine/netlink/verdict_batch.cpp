#include "netlink/verdict_batch.hpp"

#include <cassert>
#include <cstring>

#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>

#include "netlink/nfqueue_message.hpp"

namespace nfsteer::netlink {
namespace {

// Padding stands at the end of this much room: the next message then begins aligned, and right behind it.
constexpr std::size_t kTailSpace = MNL_ALIGNTO;

}  // namespace

static_assert(VerdictBatch::kMessageBytesMax == VerdictBatch::kHeadBytes + MNL_ALIGN(kCopyRangeMax));

VerdictBatch::VerdictBatch(std::size_t bytes_max)
    : bytes_max_(bytes_max), heads_(kMessagesMax * (kHeadBytes + MNL_ALIGN(kCopiedBytesMax))) {
  assert(bytes_max >= kMessageBytesMax);
  entries_.reserve(kMessagesMax);
  parts_.reserve(2 * kMessagesMax + 1);
}

void VerdictBatch::accept(std::uint16_t queue, std::uint32_t id) {
  append(queue, id, NF_ACCEPT, {});
}

void VerdictBatch::drop(std::uint16_t queue, std::uint32_t id) {
  append(queue, id, NF_DROP, {});
}

void VerdictBatch::accept(std::uint16_t queue, std::uint32_t id, std::span<const std::uint8_t> payload) {
  assert(!payload.empty() && payload.size() <= kCopyRangeMax);
  append(queue, id, NF_ACCEPT, payload);
}

void VerdictBatch::append(std::uint16_t queue, std::uint32_t id, int verdict,
                          std::span<const std::uint8_t> payload) {
  assert(!full());
  std::uint8_t* const begin = heads_.data() + heads_used_;
  Entry entry{static_cast<std::uint32_t>(heads_used_), 0, 0, {}};
  nlmsghdr* header = nfq_nlmsg_put(reinterpret_cast<char*>(begin), NFQNL_MSG_VERDICT, queue);
  nfq_nlmsg_verdict_put(header, static_cast<int>(id), verdict);
  const std::size_t padding = MNL_ALIGN(payload.size()) - payload.size();
  if (payload.size() > kCopiedBytesMax) {
    const nlattr attribute{static_cast<std::uint16_t>(MNL_ATTR_HDRLEN + payload.size()), NFQA_PAYLOAD};
    std::memcpy(begin + header->nlmsg_len, &attribute, sizeof attribute);
    header->nlmsg_len += static_cast<std::uint32_t>(MNL_ATTR_HDRLEN);
    entry.head = static_cast<std::uint16_t>(header->nlmsg_len);
    entry.tail = static_cast<std::uint16_t>(padding);
    entry.payload = payload;
    std::memset(begin + entry.head, 0, kTailSpace);
    header->nlmsg_len += static_cast<std::uint32_t>(MNL_ALIGN(payload.size()));
  } else {
    if (!payload.empty()) {
      nfq_nlmsg_verdict_put_pkt(header, payload.data(), static_cast<std::uint32_t>(payload.size()));
      std::memset(begin + header->nlmsg_len - padding, 0, padding);  // libmnl 1.0.4 leaves it as it was
    }
    entry.head = static_cast<std::uint16_t>(header->nlmsg_len);
  }
  bytes_ += header->nlmsg_len;
  heads_used_ += entry.head + (entry.payload.empty() ? 0 : kTailSpace);
  entries_.push_back(entry);
}

void VerdictBatch::add_head_part(std::size_t begin, std::size_t length) {
  std::uint8_t* const start = heads_.data() + begin;
  if (!parts_.empty() &&
      static_cast<std::uint8_t*>(parts_.back().iov_base) + parts_.back().iov_len == start) {
    parts_.back().iov_len += length;
  } else if (length > 0) {
    parts_.push_back({start, length});
  }
}

std::span<iovec> VerdictBatch::parts(std::size_t first, std::size_t last) {
  assert(first <= last && last <= entries_.size());
  parts_.clear();
  for (const Entry& entry : std::span(entries_).subspan(first, last - first)) {
    add_head_part(entry.begin, entry.head);
    if (entry.payload.empty()) continue;
    // sendmsg only reads what an iovec points to.
    parts_.push_back({const_cast<std::uint8_t*>(entry.payload.data()), entry.payload.size()});
    add_head_part(std::size_t{entry.begin} + entry.head + kTailSpace - entry.tail, entry.tail);
  }
  return parts_;
}

void VerdictBatch::clear() {
  entries_.clear();
  parts_.clear();
  heads_used_ = 0;
  bytes_ = 0;
}

}  // namespace nfsteer::netlink
