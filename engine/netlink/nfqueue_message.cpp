#include "netlink/nfqueue_message.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>

#include "netlink/netlink_reader.hpp"

namespace nfsteer::netlink {
namespace {

constexpr int kPacketType = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET;

nlmsghdr* start_config(std::span<std::uint8_t> buffer, std::uint16_t queue, std::uint32_t sequence) {
  assert(buffer.size() >= kConfigBytesMax);
  std::memset(buffer.data(), 0, kConfigBytesMax);  // libmnl 1.0.4 leaves padding as it finds it
  nlmsghdr* header = nfq_nlmsg_put(reinterpret_cast<char*>(buffer.data()), NFQNL_MSG_CONFIG, queue);
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = sequence;
  return header;
}

// Attributes are read here rather than through libmnl's getters: a call for each of five questions about each
// of eight attributes costs more than the answers.
bool read_attribute(unsigned type, std::span<std::uint8_t> value, QueuedPacket& packet, bool& has_header) {
  switch (type) {
    case NFQA_PACKET_HDR: {
      if (value.size() < sizeof(nfqnl_msg_packet_hdr)) return false;
      const auto header = load<nfqnl_msg_packet_hdr>(value.data());
      packet.id = ntohl(header.packet_id);
      packet.hw_protocol = ntohs(header.hw_protocol);
      packet.hook = header.hook;
      has_header = true;
      return true;
    }
    case NFQA_IFINDEX_INDEV:
      return load_be32(value, packet.indev);
    case NFQA_IFINDEX_OUTDEV:
      return load_be32(value, packet.outdev);
    case NFQA_CAP_LEN:
      return load_be32(value, packet.full_length);
    case NFQA_SKB_INFO: {
      std::uint32_t info = 0;
      if (!load_be32(value, info)) return false;
      packet.checksum_not_ready = (info & NFQA_SKB_CSUMNOTREADY) != 0;
      packet.gso = (info & NFQA_SKB_GSO) != 0;
      return true;
    }
    case NFQA_PAYLOAD:
      packet.payload = value;
      return true;
    default:
      return true;
  }
}

// `body` is what follows the netlink header.
bool read_packet(std::span<std::uint8_t> body, QueuedPacket& packet) {
  if (body.size() < sizeof(nfgenmsg)) return false;
  packet = QueuedPacket{};
  packet.queue = ntohs(load<nfgenmsg>(body.data()).res_id);
  bool has_header = false;
  const bool is_whole =
      for_each_attribute(body.subspan(sizeof(nfgenmsg)), [&](unsigned type, std::span<std::uint8_t> value) {
        return read_attribute(type, value, packet, has_header);
      });
  // The kernel names the full length only where it copied less.
  packet.full_length = std::max(packet.full_length, static_cast<std::uint32_t>(packet.payload.size()));
  return is_whole && has_header;
}

}  // namespace

std::size_t build_bind(std::span<std::uint8_t> buffer, const BindRequest& request, std::uint32_t sequence) {
  assert(request.copy_range > 0 && request.copy_range <= kCopyRangeMax && request.length_max > 0);
  nlmsghdr* header = start_config(buffer, request.queue, sequence);
  nfq_nlmsg_cfg_put_cmd(header, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
  nfq_nlmsg_cfg_put_params(header, NFQNL_COPY_PACKET, static_cast<int>(request.copy_range));
  nfq_nlmsg_cfg_put_qmaxlen(header, request.length_max);
  const std::uint32_t flags =
      (request.gso ? NFQA_CFG_F_GSO : 0U) | (request.fail_open ? NFQA_CFG_F_FAIL_OPEN : 0U);
  mnl_attr_put_u32(header, NFQA_CFG_FLAGS, htonl(flags));
  mnl_attr_put_u32(header, NFQA_CFG_MASK, htonl(NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN));
  return header->nlmsg_len;
}

std::size_t build_unbind(std::span<std::uint8_t> buffer, std::uint16_t queue, std::uint32_t sequence) {
  nlmsghdr* header = start_config(buffer, queue, sequence);
  nfq_nlmsg_cfg_put_cmd(header, AF_UNSPEC, NFQNL_CFG_CMD_UNBIND);
  return header->nlmsg_len;
}

std::size_t build_probe(std::span<std::uint8_t> buffer, std::uint32_t sequence) {
  nlmsghdr* header = start_config(buffer, 0, sequence);
  nfq_nlmsg_cfg_put_cmd(header, AF_INET, NFQNL_CFG_CMD_PF_BIND);
  return header->nlmsg_len;
}

std::size_t build_accept_up_to(std::span<std::uint8_t> buffer, std::uint16_t queue, std::uint32_t id,
                               std::uint32_t sequence) {
  assert(buffer.size() >= kConfigBytesMax);
  nlmsghdr* header = nfq_nlmsg_put(reinterpret_cast<char*>(buffer.data()), NFQNL_MSG_VERDICT_BATCH, queue);
  header->nlmsg_seq = sequence;
  nfq_nlmsg_verdict_put(header, static_cast<int>(id), NF_ACCEPT);
  return header->nlmsg_len;
}

bool MessageReader::next(Message& message) {
  if (rest_.empty()) return false;
  message.error = 0;
  message.sequence = 0;
  message.kind = MessageKind::malformed;
  const auto framed = take_message(rest_);
  if (!framed) return true;
  message.sequence = framed->header.nlmsg_seq;
  switch (framed->header.nlmsg_type) {
    case kPacketType:
      if (read_packet(framed->body, message.packet)) message.kind = MessageKind::packet;
      break;
    case NLMSG_ERROR:
      if (const auto error = error_in(framed->body)) {
        message.error = *error;
        message.kind = *error == 0 ? MessageKind::ack : MessageKind::error;
      }
      break;
    case NLMSG_OVERRUN:
      message.kind = MessageKind::overrun;
      break;
    default:
      message.kind = MessageKind::other;
      break;
  }
  return true;
}

}  // namespace nfsteer::netlink
