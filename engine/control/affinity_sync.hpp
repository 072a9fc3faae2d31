// Session affinity across the engine and the kernel: owns the table that the workers keep clients in
// (core/affinity_table.hpp), and fills it with what the kernel has remembered of them meanwhile
// (plan/affinity.hpp): while an earlier engine was dead, in mode `dnat`, for connections that passed a full
// queue. Of two who know a client the younger knowledge wins.
//
// The way back needs no help: the rules that bind what the engine has steered enter the client as well.
//
// A thread of its own reads the lists, once a second, and only while a service has affinity. A round reads
// some thousand clients; where the kernel knows more, it takes several rounds to come by them all. Where the
// engine takes over from the ladder, all are read before it begins.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/affinity_table.hpp"
#include "core/service.hpp"
#include "core/snapshot.hpp"
#include "iptc/recent_lists.hpp"

namespace nfsteer::control {

class AffinitySync {
 public:
  explicit AffinitySync(std::uint64_t seed) : seed_(seed), clock_(rules::TickClock::of_kernel()) {}
  // After the last worker has ended.
  ~AffinitySync();
  AffinitySync(const AffinitySync&) = delete;
  AffinitySync& operator=(const AffinitySync&) = delete;

  // For core::SteeredService::affinity: null for services without. Made for the first one that asks.
  core::AffinityTable* table_for(const core::Service& service);

  // Between the change of the rules and the publishing of the snapshot that goes with them: learns what the
  // kernel knows about the snapshot's services, and watches their lists from now on.
  void adopt(const core::Snapshot& snapshot);

  // Forgets the clients of backends that are gone, whose slots others may get. After every worker has left
  // the snapshots before this one.
  void forget_others(const core::Snapshot& snapshot);

 private:
  struct List {
    std::string name;
    core::Affinity affinity;
    std::uint32_t service_slot = 0;
    std::uint32_t backend_slot = 0;
  };

  void start();
  void run();
  void learn(std::size_t clients_max);
  std::size_t learn(const List& list);

  const std::uint64_t seed_;
  std::unique_ptr<core::AffinityTable> table_;

  std::mutex mutex_;  // for all below
  std::condition_variable changed_;
  std::vector<List> lists_;
  std::size_t next_ = 0;                // of lists_, to be read
  std::set<std::uint32_t> chosen_for_;  // slots of services for which the engine chooses, not the ladder
  rules::TickClock clock_;
  bool complained_ = false;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace nfsteer::control
