// One received datagram through the message reader. Whatever the bytes, messages end, payloads lie inside,
// and every packet can be answered.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "netlink/conntrack_message.hpp"
#include "netlink/nfqueue_message.hpp"
#include "netlink/verdict_batch.hpp"

using nfsteer::netlink::Message;
using nfsteer::netlink::MessageKind;
using nfsteer::netlink::MessageReader;
using nfsteer::netlink::QueuedPacket;
using nfsteer::netlink::VerdictBatch;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// The same bytes as conntrack's messages.
void read_conntrack(std::span<const std::uint8_t> datagram) {
  using nfsteer::netlink::ConntrackMessage;
  nfsteer::netlink::ConntrackReader messages(datagram);
  for (ConntrackMessage message; messages.next(message);) {
    require(message.kind == ConntrackMessage::Kind::error ? message.error > 0 : message.error == 0);
    if (message.kind != ConntrackMessage::Kind::connection) continue;
    require(message.connection.tcp_state <= nfsteer::netlink::TcpState::syn_sent_both);
    std::vector<std::uint8_t> request(nfsteer::netlink::kConntrackRequestMax);
    require(build_conntrack_delete(request, message.connection, 1) <= request.size());
    require(nfsteer::netlink::build_conntrack_get(request, message.connection.original, 1) <= request.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> datagram(data, data + size);
  read_conntrack(datagram);
  static VerdictBatch batch(std::size_t{1} << 20);
  batch.clear();
  MessageReader messages(datagram);
  for (Message message; messages.next(message);) {
    require(message.kind == MessageKind::error ? message.error > 0 : message.error == 0);
    if (message.kind != MessageKind::packet) continue;
    QueuedPacket& packet = message.packet;
    require(packet.full_length >= packet.payload.size());
    if (!packet.payload.empty()) {
      require(packet.payload.data() >= datagram.data());
      require(packet.payload.data() + packet.payload.size() <= datagram.data() + datagram.size());
    }
    for (std::uint8_t& byte : packet.payload)
      byte = static_cast<std::uint8_t>(~byte);
    if (batch.full()) batch.clear();
    if (packet.payload.empty()) {
      batch.accept(packet.queue, packet.id);
    } else {
      batch.accept(packet.queue, packet.id, packet.payload);
    }
  }
  std::size_t bytes = 0;
  for (const iovec& part : batch.parts(0, batch.size()))
    bytes += part.iov_len;
  require(bytes == batch.bytes());
  return 0;
}
