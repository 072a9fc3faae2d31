// The least that a user of NFQUEUE can do: receive, accept unchanged, answer in batches. What it costs is the
// kernel interface's own price; what nfsteer costs above it is nfsteer's.
//
// Queues, copy range, batch, pacing and socket settings are those of a worker of the engine
// (engine/control/worker.cpp), for first packets of connections. Runs until SIGTERM.
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

#include "netlink/nfqueue_message.hpp"
#include "netlink/pacing.hpp"
#include "netlink/queue_socket.hpp"
#include "netlink/verdict_batch.hpp"
#include "tool.hpp"

namespace {

using namespace nfsteer;

constexpr std::size_t kBatchMax = 64;
constexpr std::size_t kArenaBytes = std::size_t{1} << 20;

std::atomic<bool> stopping = false;
std::atomic<std::uint64_t> packets_total = 0;
std::atomic<std::uint64_t> batches_total = 0;

template <typename T>
T must(core::Result<T> result) {
  if (!result) bench::die_plainly(result.error().line());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

void accept_all(netlink::QueueSocket socket) {
  std::vector<std::uint8_t> arena(kArenaBytes);
  netlink::VerdictBatch batch(socket.batch_bytes_max());
  std::uint64_t packets = 0, batches = 0;
  prctl(PR_SET_TIMERSLACK, 1);
  netlink::Pacing pacing;
  while (!stopping.load(std::memory_order_relaxed)) {
    if (pacing.should_wait()) std::this_thread::sleep_for(netlink::Pacing::kWait);
    std::span<std::uint8_t> room = arena;
    for (bool wait = true; room.size() >= netlink::kReceiveBytesMax && batch.size() < kBatchMax;
         wait = false) {
      const netlink::ReceiveOutcome got = socket.receive(room, wait);
      if (got.kind != netlink::ReceiveOutcome::Kind::data) break;
      netlink::MessageReader messages(room.first(got.bytes));
      for (netlink::Message message; messages.next(message);)
        if (message.kind == netlink::MessageKind::packet)
          batch.accept(message.packet.queue, message.packet.id);
      room = room.subspan(got.bytes);
    }
    const std::size_t found = batch.size();
    if (found > 0) {
      packets += found;
      ++batches;
      socket.send(batch);
    }
    pacing.batch_done(found, netlink::Pacing::Clock::now());
  }
  packets_total += packets;
  batches_total += batches;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned queues = 2;
  netlink::BindRequest request;
  request.length_max = 4096;
  request.fail_open = true;
  CLI::App app("Accepts every packet of its queues");
  app.add_option("--queues", queues, "threads, queues from 0 on")->check(CLI::Range(1, 64));
  app.add_option("--queue-length", request.length_max, "packets that a queue holds");
  app.add_option("--copy-range", request.copy_range, "bytes copied of each packet");
  CLI11_PARSE(app, argc, argv);

  // Blocked in every thread, and taken by sigwait below.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  std::vector<std::thread> threads;
  for (unsigned i = 0; i < queues; ++i) {
    auto socket = must(
        netlink::QueueSocket::open({.receive_bytes = netlink::receive_budget(request.length_max, 1500)}));
    request.queue = static_cast<std::uint16_t>(i);
    must(socket.bind(request));
    threads.emplace_back(accept_all, std::move(socket));
  }
  fmt::print(stderr, "ready: {} queues\n", queues);
  int got = 0;
  sigwait(&ends, &got);
  stopping = true;
  for (std::thread& each : threads)
    each.join();
  fmt::print("{{\"packets\": {}, \"batches\": {}}}\n", packets_total.load(), batches_total.load());
}
