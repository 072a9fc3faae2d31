#include "control/worker.hpp"

#include <sys/prctl.h>

#include <chrono>
#include <ctime>
#include <span>
#include <utility>

#include "core/random.hpp"
#include "netlink/group_queue.hpp"
#include "netlink/nfqueue_message.hpp"
#include "netlink/pacing.hpp"
#include "tracking/start_thread.hpp"

namespace nfsteer::control {
namespace {

using core::Event;
using core::QueueGroup;
using netlink::ReceiveOutcome;

std::uint32_t coarse_seconds() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint32_t>(now.tv_sec);
}

std::uint64_t nanoseconds_since(netlink::Pacing::Clock::time_point began) noexcept {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(netlink::Pacing::Clock::now() - began).count());
}

}  // namespace

core::Result<std::unique_ptr<Worker>> Worker::start(const WorkerOptions& options,
                                                    PublishedSnapshot& published) {
  auto socket = netlink::QueueSocket::open({.receive_bytes = netlink::receive_bytes(options.queue_length)});
  if (!socket) return tl::unexpected(socket.error());
  for (const QueueGroup group : core::kQueueGroups)
    if (auto bound =
            socket->bind(netlink::group_queue(options.layout, group, options.index, options.queue_length));
        !bound)
      return tl::unexpected(bound.error());
  std::unique_ptr<Worker> worker(new Worker(options, published, std::move(*socket)));
  auto thread = tracking::start_thread("workers", [&self = *worker] { self.run(); });
  if (!thread) return tl::unexpected(thread.error());
  worker->thread_ = *std::move(thread);
  return worker;
}

// All workers hash flows with one seed of their own: nothing of a cache is ever shared or shown.
Worker::Worker(const WorkerOptions& options, PublishedSnapshot& published, netlink::QueueSocket socket)
    : index_(options.index),
      layout_(options.layout),
      published_(published),
      socket_(std::move(socket)),
      steering_(core::Random(options.seed, options.index), core::Random(~options.seed, options.index).next(),
                counters_, options.index),
      arena_(netlink::kArenaBytes),
      batch_(socket_.batch_bytes_max()) {}

Worker::~Worker() {
  stopping_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
}

void Worker::run() noexcept {
  prctl(PR_SET_TIMERSLACK, 1);  // or a wait lasts 50 us longer than asked for
  netlink::Pacing pacing;
  while (!stopping_.load(std::memory_order_relaxed)) {
    rounds_.add();
    if (pacing.should_wait()) std::this_thread::sleep_for(netlink::Pacing::kWait);
    ReceiveOutcome got = receive(arena_, true);
    if (got.kind != ReceiveOutcome::Kind::data) {
      if (has_unanswered_) accept_unanswered(got.kind == ReceiveOutcome::Kind::empty);
      pacing.batch_done(0, netlink::Pacing::Clock::now());
      continue;
    }
    const core::Snapshot& snapshot = published_.enter(index_);
    const auto began = netlink::Pacing::Clock::now();
    const std::uint32_t now_s = coarse_seconds();
    steering_.batch_begins(
        static_cast<std::uint64_t>(began.time_since_epoch() / std::chrono::nanoseconds(1)));
    std::span<std::uint8_t> room = arena_;
    std::size_t packets = 0;
    do {
      packets += answer(snapshot, room.first(got.bytes), now_s);
      room = room.subspan(got.bytes);
      if (batch_.size() >= netlink::kBatchMax || room.size() < netlink::kReceiveBytesMax) break;
      got = receive(room, false);
    } while (got.kind == ReceiveOutcome::Kind::data);
    if (packets > 0) counters_.count_batch(packets, nanoseconds_since(began));
    send();
    if (has_unanswered_) accept_unanswered(got.kind == ReceiveOutcome::Kind::empty);
    pacing.batch_done(packets, netlink::Pacing::Clock::now());
    published_.leave(index_);
  }
}

ReceiveOutcome Worker::receive(std::span<std::uint8_t> room, bool wait) noexcept {
  const ReceiveOutcome got = socket_.receive(room, wait);
  if (got.kind == ReceiveOutcome::Kind::overflow) counters_[Event::receive_overflows].add();
  if (got.kind == ReceiveOutcome::Kind::broken) {
    counters_[Event::receive_errors].add();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // never spin on an error that stays
  }
  return got;
}

std::size_t Worker::answer(const core::Snapshot& snapshot, std::span<std::uint8_t> datagram,
                           std::uint32_t now_s) noexcept {
  std::size_t packets = 0;
  netlink::MessageReader messages(datagram);
  for (netlink::Message message; messages.next(message);) {
    switch (message.kind) {
      case netlink::MessageKind::packet:
        break;
      case netlink::MessageKind::error:
        if (message.sequence != netlink::QueueSocket::kAcceptUpToSequence)
          counters_[Event::verdict_errors].add();
        continue;
      case netlink::MessageKind::overrun:
        counters_[Event::receive_overflows].add();
        continue;
      case netlink::MessageKind::malformed:
        counters_[Event::receive_errors].add();
        has_unanswered_ = true;
        continue;
      default:
        continue;
    }
    ++packets;
    if (batch_.full()) send();
    const netlink::QueuedPacket& packet = message.packet;
    counters_.interfaces.count(packet.indev);
    const QueueGroup group = layout_.group_of(packet.queue);
    last_ids_[static_cast<std::size_t>(group)] = packet.id;
    switch (steering_.steer(snapshot, group, {packet.payload, packet.full_length, packet.checksum_not_ready},
                            now_s)) {
      case core::Verdict::accept:
        batch_.accept(packet.queue, packet.id);
        break;
      case core::Verdict::accept_rewritten:
        batch_.accept(packet.queue, packet.id, packet.payload);
        break;
      case core::Verdict::drop:
        batch_.drop(packet.queue, packet.id);
        break;
    }
  }
  return packets;
}

void Worker::send() noexcept {
  if (batch_.empty()) return;
  counters_[Event::batches].add();
  const std::size_t lost = socket_.send(batch_).lost;
  if (lost == 0) return;
  counters_[Event::verdict_errors].add(lost);
  has_unanswered_ = true;
}

// Every packet that has been read has been answered, so what is older and still waits will never be: it goes
// on unchanged, and the ladder balances it. A packet of a message that could not be read may be newer than
// the last one that could; what comes meanwhile is let finish before that is taken for lost, too.
void Worker::accept_unanswered(bool all_read) noexcept {
  constexpr std::uint32_t kUnread = 1024;
  bool taken = true;
  for (const QueueGroup group : core::kQueueGroups) {
    const std::uint32_t last = last_ids_[static_cast<std::size_t>(group)];
    taken &= socket_.accept_up_to(layout_.queue(group, index_), all_read ? last + kUnread : last);
  }
  has_unanswered_ = !taken || !all_read;
}

}  // namespace nfsteer::control
