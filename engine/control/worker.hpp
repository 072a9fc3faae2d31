// A worker: one thread, one netlink socket, one queue of every group. It drains the socket, decides on each
// packet, sends the verdicts of the batch in one go and only then waits for more; at high rates long enough
// that several packets gather (netlink/pacing.hpp).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "control/published_snapshot.hpp"
#include "core/counters.hpp"
#include "core/queue_layout.hpp"
#include "core/result.hpp"
#include "core/steering.hpp"
#include "netlink/queue_socket.hpp"

namespace nfsteer::control {

struct WorkerOptions {
  unsigned index = 0;
  core::QueueLayout layout;
  std::uint32_t queue_length = 0;  // packets
  std::uint64_t seed = 0;
};

class Worker {
 public:
  // Takes this worker's queues and starts its thread. `published` outlives the worker.
  static core::Result<std::unique_ptr<Worker>> start(const WorkerOptions& options,
                                                     PublishedSnapshot& published);

  // Ends the thread, within netlink's receive timeout; packets that are still queued are dropped by the
  // kernel.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  core::WorkerCounters& counters() { return counters_; }
  // Counts up while the thread makes progress: at least once per receive timeout and batch.
  std::uint64_t rounds() const { return rounds_.value(); }

 private:
  Worker(const WorkerOptions& options, PublishedSnapshot& published, netlink::QueueSocket socket);

  void run() noexcept;
  netlink::ReceiveOutcome receive(std::span<std::uint8_t> room, bool wait) noexcept;
  // Returns how many packets it held.
  std::size_t answer(const core::Snapshot& snapshot, std::span<std::uint8_t> datagram,
                     std::uint32_t now_s) noexcept;
  void send() noexcept;
  void accept_unanswered(bool all_read) noexcept;

  const unsigned index_;
  const core::QueueLayout layout_;
  PublishedSnapshot& published_;
  netlink::QueueSocket socket_;
  core::WorkerCounters counters_;
  core::Counter rounds_;
  core::Steering steering_;
  std::vector<std::uint8_t> arena_;  // the messages of one batch stay here until its verdicts are sent
  netlink::VerdictBatch batch_;
  std::array<std::uint32_t, core::kQueueGroups.size()> last_ids_{};  // received, by group
  // Packets wait for a verdict that was lost, or that came in a message which could not be read. Their
  // connections would wait with them: Linux sends no SYN again whose first copy is still in a queue of its
  // own host.
  bool has_unanswered_ = false;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace nfsteer::control
