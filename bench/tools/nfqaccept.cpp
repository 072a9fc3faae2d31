// The least that a user of NFQUEUE can do: receive, accept, answer in batches. What it costs is the kernel
// interface's own price; what nfsteer costs above it is nfsteer's.
//
// Queues, copy range, batch, pacing and socket settings are those of a worker of the engine. First packets
// and those of `inspect` are accepted; those of `rewrite` go back whole, with their destination as it was and
// their checksum complete, as the kernel wants it. Runs until SIGTERM.
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include <atomic>
#include <chrono>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "core/address.hpp"
#include "core/packet.hpp"
#include "core/queue_layout.hpp"
#include "core/rewrite.hpp"
#include "netlink/group_queue.hpp"
#include "netlink/nfqueue_message.hpp"
#include "netlink/pacing.hpp"
#include "netlink/queue_socket.hpp"
#include "netlink/verdict_batch.hpp"
#include "tool.hpp"

namespace {

using namespace nfsteer;

// RFC 5737: stands in a packet's destination for a moment.
const core::IpAddress kElsewhere = core::IpAddress::parse("192.0.2.1").value();

std::atomic<bool> stopping = false;
std::atomic<std::uint64_t> packets_total = 0;
std::atomic<std::uint64_t> batches_total = 0;

template <typename T>
T must(core::Result<T> result) {
  if (!result) bench::die_plainly(result.error().line());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// There and back: the checksum is complete afterwards, by the engine's own code.
bool send_back(const netlink::QueuedPacket& packet) {
  core::ParsedPacket parsed;
  if (packet.payload.size() < packet.full_length ||
      core::parse_packet(packet.payload, packet.full_length, parsed) != core::ParseOutcome::ok)
    return false;
  const core::IpAddress home = parsed.flow.destination_address();
  using core::ChecksumState;
  const auto state = packet.checksum_not_ready ? ChecksumState::partial : ChecksumState::complete;
  const auto go_to = [&](const core::IpAddress& where, ChecksumState from) {
    return core::rewrite_destination(packet.payload, parsed, where, 0, from) ==
           core::RewriteOutcome::rewritten;
  };
  return go_to(kElsewhere, state) && go_to(home, ChecksumState::complete);
}

void accept_all(netlink::QueueSocket socket, core::QueueLayout layout) {
  std::vector<std::uint8_t> arena(netlink::kArenaBytes);
  netlink::VerdictBatch batch(socket.batch_bytes_max());
  std::uint64_t packets = 0, batches = 0;
  const auto send = [&] {
    if (batch.empty()) return;
    ++batches;
    socket.send(batch);
  };
  prctl(PR_SET_TIMERSLACK, 1);
  netlink::Pacing pacing;
  while (!stopping.load(std::memory_order_relaxed)) {
    if (pacing.should_wait()) std::this_thread::sleep_for(netlink::Pacing::kWait);
    std::span<std::uint8_t> room = arena;
    std::size_t found = 0;
    for (bool wait = true; room.size() >= netlink::kReceiveBytesMax && batch.size() < netlink::kBatchMax;
         wait = false) {
      const netlink::ReceiveOutcome got = socket.receive(room, wait);
      if (got.kind != netlink::ReceiveOutcome::Kind::data) break;
      netlink::MessageReader messages(room.first(got.bytes));
      for (netlink::Message message; messages.next(message);) {
        if (message.kind != netlink::MessageKind::packet) continue;
        ++found;
        if (batch.full()) send();
        const netlink::QueuedPacket& packet = message.packet;
        if (layout.group_of(packet.queue) == core::QueueGroup::rewrite && send_back(packet)) {
          batch.accept(packet.queue, packet.id, packet.payload);
        } else {
          batch.accept(packet.queue, packet.id);
        }
      }
      room = room.subspan(got.bytes);
    }
    packets += found;
    send();
    pacing.batch_done(found, netlink::Pacing::Clock::now());
  }
  packets_total += packets;
  batches_total += batches;
}

}  // namespace

int main(int argc, char** argv) {
  core::QueueLayout layout{.base = 0, .workers = 2};
  std::uint32_t queue_length = 4096;
  CLI::App app("Accepts every packet of its queues");
  app.add_option("--queues", layout.workers, "threads, three queues each, from 0 on")
      ->check(CLI::Range(1, int{core::kWorkersMax}));
  app.add_option("--queue-length", queue_length, "packets that a queue holds");
  CLI11_PARSE(app, argc, argv);

  // Blocked in every thread, and taken by sigwait below.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  std::vector<std::thread> threads;
  for (unsigned worker = 0; worker < layout.workers; ++worker) {
    auto socket = must(netlink::QueueSocket::open({.receive_bytes = netlink::receive_bytes(queue_length)}));
    for (const core::QueueGroup group : core::kQueueGroups)
      must(socket.bind(netlink::group_queue(layout, group, worker, queue_length)));
    threads.emplace_back(accept_all, std::move(socket), layout);
  }
  fmt::print(stderr, "ready: {} workers\n", layout.workers);
  int got = 0;
  sigwait(&ends, &got);
  stopping = true;
  for (std::thread& each : threads)
    each.join();
  fmt::print("{{\"packets\": {}, \"batches\": {}}}\n", packets_total.load(), batches_total.load());
}
