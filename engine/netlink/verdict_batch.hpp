// Verdicts gathered for one send. Made once with room for all, it allocates nothing afterwards.
//
// Changed packets travel with their verdict. Short ones are copied; long ones are referenced where they lie,
// so their bytes must stay as they are until the batch has been sent.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace nfsteer::netlink {

class VerdictBatch {
 public:
  // Two parts each and one more stay within the 1024 of sendmsg (UIO_MAXIOV).
  static constexpr std::size_t kMessagesMax = 511;
  // Payloads up to here are copied.
  static constexpr std::size_t kCopiedBytesMax = 512;
  // Headers: netlink, nfgenmsg, verdict attribute, payload attribute.
  static constexpr std::size_t kHeadBytes = 36;
  // With the longest payload, padded to 4 bytes.
  static constexpr std::size_t kMessageBytesMax = kHeadBytes + 65532;

  // `bytes_max`: what one send may carry, >= kMessageBytesMax (QueueSocket::batch_bytes_max).
  explicit VerdictBatch(std::size_t bytes_max);

  // True when the longest verdict might not fit any more: send before you add.
  bool full() const { return entries_.size() == kMessagesMax || bytes_ + kMessageBytesMax > bytes_max_; }
  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }  // verdicts
  std::size_t bytes() const { return bytes_; }          // on the wire, payloads and padding included

  // Not on a full batch. `queue` and `id` are those of the QueuedPacket; answer oldest first.
  void accept(std::uint16_t queue, std::uint32_t id);
  void drop(std::uint16_t queue, std::uint32_t id);
  // Accept with `payload` (1..kCopyRangeMax bytes) in the packet's place.
  void accept(std::uint16_t queue, std::uint32_t id, std::span<const std::uint8_t> payload);

  // The verdicts [first, last) as sendmsg takes them. Valid until the next call of any other function than
  // size().
  std::span<iovec> parts(std::size_t first, std::size_t last);
  void clear();

 private:
  // One verdict: `head` bytes at `begin` of heads_, then, if a payload is referenced, that and `tail` bytes
  // of padding.
  struct Entry {
    std::uint32_t begin;
    std::uint16_t head;
    std::uint16_t tail;
    std::span<const std::uint8_t> payload;
  };

  void append(std::uint16_t queue, std::uint32_t id, int verdict, std::span<const std::uint8_t> payload);
  void add_head_part(std::size_t begin, std::size_t length);

  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::size_t heads_used_ = 0;
  std::vector<std::uint8_t> heads_;  // everything but the referenced payloads
  std::vector<Entry> entries_;
  std::vector<iovec> parts_;
};

}  // namespace nfsteer::netlink
