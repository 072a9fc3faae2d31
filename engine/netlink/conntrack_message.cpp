#include "netlink/conntrack_message.hpp"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "netlink/netlink_reader.hpp"

namespace nfsteer::netlink {
namespace {

using core::Family;
using core::FlowKey;
using Bytes = std::span<const std::uint8_t>;

constexpr int type_of(int message) {
  return NFNL_SUBSYS_CTNETLINK << 8 | message;
}

bool load_be16(Bytes value, std::uint16_t& out) {
  if (value.size() != sizeof out) return false;
  out = ntohs(load<std::uint16_t>(value.data()));
  return true;
}
bool load_be64(Bytes value, std::uint64_t& out) {
  if (value.size() != sizeof out) return false;
  out = be64toh(load<std::uint64_t>(value.data()));
  return true;
}

bool load_address(Bytes value, Family family, FlowKey& flow, std::array<std::uint8_t, 16>& address) {
  if (value.size() != (family == Family::ipv4 ? 4U : 16U)) return false;
  flow.family = family;
  std::ranges::copy(value, address.begin());
  return true;
}

bool read_addresses(Bytes attributes, FlowKey& flow) {
  return for_each_attribute(attributes, [&](unsigned type, Bytes value) {
    switch (type) {
      case CTA_IP_V4_SRC:
        return load_address(value, Family::ipv4, flow, flow.source);
      case CTA_IP_V4_DST:
        return load_address(value, Family::ipv4, flow, flow.destination);
      case CTA_IP_V6_SRC:
        return load_address(value, Family::ipv6, flow, flow.source);
      case CTA_IP_V6_DST:
        return load_address(value, Family::ipv6, flow, flow.destination);
      default:
        return true;
    }
  });
}

bool read_protocol(Bytes attributes, FlowKey& flow) {
  return for_each_attribute(attributes, [&](unsigned type, Bytes value) {
    switch (type) {
      case CTA_PROTO_NUM:
        if (value.size() != 1) return false;
        flow.protocol = value[0];
        return true;
      case CTA_PROTO_SRC_PORT:
      case CTA_PROTO_ICMP_ID:
      case CTA_PROTO_ICMPV6_ID:
        return load_be16(value, flow.source_port);
      case CTA_PROTO_DST_PORT:
        return load_be16(value, flow.destination_port);
      default:
        return true;
    }
  });
}

bool read_tuple(Bytes attributes, FlowKey& flow, std::uint16_t& zone) {
  return for_each_attribute(attributes, [&](unsigned type, Bytes value) {
    switch (type) {
      case CTA_TUPLE_IP:
        return read_addresses(value, flow);
      case CTA_TUPLE_PROTO:
        return read_protocol(value, flow);
      case CTA_TUPLE_ZONE:
        return load_be16(value, zone);
      default:
        return true;
    }
  });
}

bool read_tcp_state(Bytes attributes, TcpState& state) {
  return for_each_attribute(attributes, [&](unsigned type, Bytes value) {
    if (type != CTA_PROTOINFO_TCP) return true;
    return for_each_attribute(value, [&](unsigned inner, Bytes byte) {
      if (inner != CTA_PROTOINFO_TCP_STATE) return true;
      if (byte.size() != 1 || byte[0] > static_cast<std::uint8_t>(TcpState::syn_sent_both)) return false;
      state = static_cast<TcpState>(byte[0]);
      return true;
    });
  });
}

bool read_counters(Bytes attributes, std::uint64_t& packets, std::uint64_t& bytes) {
  return for_each_attribute(attributes, [&](unsigned type, Bytes value) {
    if (type == CTA_COUNTERS_PACKETS) return load_be64(value, packets);
    if (type == CTA_COUNTERS_BYTES) return load_be64(value, bytes);
    return true;
  });
}

bool read_connection(Bytes body, Connection& connection) {
  connection = Connection{};
  if (body.size() < sizeof(nfgenmsg)) return false;
  bool has_original = false;
  const bool is_whole = for_each_attribute(body.subspan(sizeof(nfgenmsg)), [&](unsigned type, Bytes value) {
    switch (type) {
      case CTA_TUPLE_ORIG:
        has_original = true;
        return read_tuple(value, connection.original, connection.zone);
      case CTA_TUPLE_REPLY:
        return read_tuple(value, connection.reply, connection.zone);
      case CTA_STATUS:
        return load_be32(value, connection.status);
      case CTA_PROTOINFO:
        return read_tcp_state(value, connection.tcp_state);
      case CTA_COUNTERS_ORIG:
        return read_counters(value, connection.original_packets, connection.original_bytes);
      case CTA_COUNTERS_REPLY:
        return read_counters(value, connection.reply_packets, connection.reply_bytes);
      case CTA_ID:
        return load_be32(value, connection.id);
      case CTA_ZONE:
        return load_be16(value, connection.zone);
      default:
        return true;
    }
  });
  return is_whole && has_original;
}

nlmsghdr* start_request(std::span<std::uint8_t> buffer, int message, int flags, Family family,
                        std::uint32_t sequence) {
  assert(buffer.size() >= kConntrackRequestMax);
  std::memset(buffer.data(), 0, kConntrackRequestMax);  // libmnl 1.0.4 leaves padding as it finds it
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = static_cast<std::uint16_t>(type_of(message));
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = sequence;
  auto* extra = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  extra->nfgen_family = family == Family::ipv4 ? AF_INET : AF_INET6;
  extra->version = NFNETLINK_V0;
  return header;
}

bool is_icmp(const FlowKey& flow) {
  const int icmp = flow.family == Family::ipv4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  return flow.protocol == icmp;
}

void put_tuple(nlmsghdr* header, const FlowKey& flow) {
  const bool v4 = flow.family == Family::ipv4;
  const std::size_t length = v4 ? 4 : 16;
  nlattr* const tuple = mnl_attr_nest_start(header, CTA_TUPLE_ORIG);
  nlattr* const addresses = mnl_attr_nest_start(header, CTA_TUPLE_IP);
  mnl_attr_put(header, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, length, flow.source.data());
  mnl_attr_put(header, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, length, flow.destination.data());
  mnl_attr_nest_end(header, addresses);
  nlattr* const protocol = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(header, CTA_PROTO_NUM, flow.protocol);
  if (is_icmp(flow)) {
    constexpr std::uint8_t kEchoRequest = 8, kEchoRequestV6 = 128;  // RFC 792, RFC 4443
    mnl_attr_put_u16(header, v4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID, htons(flow.source_port));
    mnl_attr_put_u8(header, v4 ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE,
                    v4 ? kEchoRequest : kEchoRequestV6);
    mnl_attr_put_u8(header, v4 ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE, 0);
  } else {
    mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, htons(flow.source_port));
    mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, htons(flow.destination_port));
  }
  mnl_attr_nest_end(header, protocol);
  mnl_attr_nest_end(header, tuple);
}

}  // namespace

std::size_t build_conntrack_dump(std::span<std::uint8_t> buffer, Family family, std::uint32_t sequence) {
  return start_request(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family, sequence)->nlmsg_len;
}

std::size_t build_conntrack_get(std::span<std::uint8_t> buffer, const FlowKey& original,
                                std::uint32_t sequence) {
  nlmsghdr* header = start_request(buffer, IPCTNL_MSG_CT_GET, 0, original.family, sequence);
  put_tuple(header, original);
  return header->nlmsg_len;
}

std::size_t build_conntrack_delete(std::span<std::uint8_t> buffer, const Connection& connection,
                                   std::uint32_t sequence) {
  nlmsghdr* header =
      start_request(buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, connection.original.family, sequence);
  put_tuple(header, connection.original);
  if (connection.zone != 0) mnl_attr_put_u16(header, CTA_ZONE, htons(connection.zone));
  mnl_attr_put_u32(header, CTA_ID, htonl(connection.id));
  return header->nlmsg_len;
}

bool ConntrackReader::next(ConntrackMessage& message) {
  using Kind = ConntrackMessage::Kind;
  if (rest_.empty()) return false;
  message.sequence = 0;
  message.error = 0;
  message.interrupted = false;
  message.kind = Kind::malformed;
  const auto framed = take_message(rest_);
  if (!framed) return true;
  message.sequence = framed->header.nlmsg_seq;
  const int flags = framed->header.nlmsg_flags;
  message.interrupted = (flags & NLM_F_DUMP_INTR) != 0;
  switch (framed->header.nlmsg_type) {
    case type_of(IPCTNL_MSG_CT_NEW):
      // ctnetlink_conntrack_event() tells a new connection by these flags; a dump's entries have NLM_F_MULTI.
      message.change =
          (flags & (NLM_F_CREATE | NLM_F_MULTI)) != 0 ? ConntrackChange::created : ConntrackChange::updated;
      if (read_connection(framed->body, message.connection)) message.kind = Kind::connection;
      break;
    case type_of(IPCTNL_MSG_CT_DELETE):
      message.change = ConntrackChange::destroyed;
      if (read_connection(framed->body, message.connection)) message.kind = Kind::connection;
      break;
    case NLMSG_ERROR:
      if (const auto error = error_in(framed->body)) {
        message.error = *error;
        message.kind = *error == 0 ? Kind::ack : Kind::error;
      }
      break;
    case NLMSG_DONE:
      message.kind = Kind::done;
      break;
    case NLMSG_OVERRUN:
      message.kind = Kind::overrun;
      break;
    default:
      message.kind = Kind::other;
      break;
  }
  return true;
}

}  // namespace nfsteer::netlink
