// One NFQUEUE socket: it binds queues, receives their packets and sends the verdicts. One thread uses it;
// verdicts must go out on the socket that bound the queue. Closing it drops what waits in its queues, so take
// the rules out and drain first.
//
// The loop of a worker:
//
//   std::vector<std::uint8_t> arena(kArenaBytes);  // messages stay here until their verdicts are sent
//   VerdictBatch batch(socket.batch_bytes_max());
//   while (running) {
//     std::span<std::uint8_t> room = arena;
//     for (bool wait = true; room.size() >= kReceiveBytesMax; wait = false) {
//       const ReceiveOutcome got = socket.receive(room, wait);
//       if (got.kind != ReceiveOutcome::Kind::data) break;  // count overflows; broken: end the worker
//       MessageReader messages(room.first(got.bytes));
//       for (Message message; messages.next(message);) {
//         if (message.kind != MessageKind::packet) continue;  // count errors: verdicts that came too late
//         if (batch.full()) socket.send(batch);
//         const QueuedPacket& packet = message.packet;
//         if (steer(packet.payload)) {
//           batch.accept(packet.queue, packet.id, packet.payload);
//         } else {
//           batch.accept(packet.queue, packet.id);
//         }
//       }
//       room = room.subspan(got.bytes);
//     }
//     socket.send(batch);
//   }
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "core/result.hpp"
#include "netlink/netlink_handle.hpp"
#include "netlink/nfqueue_message.hpp"
#include "netlink/verdict_batch.hpp"

namespace nfsteer::netlink {

// The kernel memory that `packets` waiting packets of up to `bytes` copied bytes occupy in a receive buffer.
std::size_t receive_budget(std::size_t packets, std::size_t bytes);

struct SocketOptions {
  // Kernel memory for packets not yet received. Beyond it a queue drops, or lets by with fail_open.
  std::size_t receive_bytes = std::size_t{8} << 20;
  // What one send may carry; larger ones fail with EMSGSIZE.
  std::size_t batch_bytes = std::size_t{512} << 10;
  // How long a waiting receive() waits; zero: for ever.
  std::chrono::microseconds receive_timeout{100'000};
};

struct SendOutcome {
  std::size_t sent = 0;  // verdicts that reached the kernel; what it thinks of them comes by receive()
  std::size_t lost = 0;  // verdicts it would not take even one by one: their packets wait
  int error = 0;         // errno of the last failed attempt
};

class QueueSocket {
 public:
  // In the calling thread's network namespace. Errors: no CAP_NET_ADMIN, a kernel without NFQUEUE.
  static core::Result<QueueSocket> open(const SocketOptions& options);

  // Packets of queues bound before that arrive meanwhile are accepted unchanged. Errors: the queue is taken
  // (and by whom), the kernel does not know a flag.
  core::Result<void> bind(const BindRequest& request);

  // The kernel drops what waits in the queue.
  core::Result<void> unbind(std::uint16_t queue);

  // One datagram into `buffer`, at least kReceiveBytesMax long. With `wait`, waits for receive_timeout.
  ReceiveOutcome receive(std::span<std::uint8_t> buffer, bool wait) noexcept;

  // Accepts unchanged what has no verdict yet, up to the packet `id` and including it: packets whose verdicts
  // were lost. False: the kernel did not take the message. Of its answers, errors have sequence
  // kAcceptUpToSequence.
  bool accept_up_to(std::uint16_t queue, std::uint32_t id) noexcept;
  static constexpr std::uint32_t kAcceptUpToSequence = 0xffffffff;

  // One sendmsg; smaller ones should the kernel find it too large or lack memory. The batch is empty
  // afterwards.
  SendOutcome send(VerdictBatch& batch) noexcept;

  int fd() const { return fd_; }
  std::uint32_t port_id() const { return port_id_; }
  // What the kernel granted; less than asked for where it refuses SO_RCVBUFFORCE and SO_SNDBUFFORCE.
  std::size_t receive_bytes() const { return receive_bytes_; }
  std::size_t batch_bytes_max() const { return batch_bytes_max_; }

 private:
  explicit QueueSocket(MnlHandle socket) : socket_(std::move(socket)), fd_(fd_of(socket_)) {}

  core::Result<void> configure(const SocketOptions& options);
  // Sends a request and returns the kernel's answer: 0 or an errno; EAGAIN if the answer was lost to a full
  // buffer.
  int transact(std::span<const std::uint8_t> request, std::uint32_t sequence);
  void send_range(VerdictBatch& batch, std::size_t first, std::size_t last, SendOutcome& outcome) noexcept;

  MnlHandle socket_;
  int fd_ = -1;
  std::uint32_t port_id_ = 0;
  std::uint32_t sequence_ = 0;
  std::size_t receive_bytes_ = 0;
  std::size_t batch_bytes_max_ = 0;
};

}  // namespace nfsteer::netlink
