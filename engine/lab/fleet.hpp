// The backends of the simulated service as the engine sees them: configured, changed, healthy or not, and
// what follows for new connections. Weights come from core::availability(), as they do in the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/availability.hpp"
#include "core/live_backend.hpp"
#include "lab/scenario.hpp"
#include "policy/policy.hpp"

namespace nfsteer::lab {

// Everything that was ever a backend has a number, in the order in which they came; it keeps it when it goes.
using ServerNumber = std::uint32_t;

// The service's backends at one time.
struct Members {
  std::vector<core::Backend> backends;   // with effective weights
  std::vector<ServerNumber> numbers;     // of each
  std::vector<core::LiveBackend*> live;  // of each

  policy::BuildInput input() const { return {backends, live, 1}; }
  std::uint64_t weight() const;  // the sum
};

class Fleet {
 public:
  explicit Fleet(const Scenario& scenario);

  // The number of the backend that the change is about. What a change does to the server itself, failing or
  // slow, is not for the fleet: it learns of it from set_healthy().
  ServerNumber apply(const Change& change);
  // False: it was so already.
  bool set_healthy(ServerNumber number, bool is_healthy);

  Members members() const;

  std::size_t size() const { return servers_.size(); }  // those that went, too
  const Server& server(ServerNumber number) const { return servers_[number].server; }
  core::LiveBackend& live(ServerNumber number) { return *servers_[number].live; }

 private:
  struct Entry {
    Server server;
    std::unique_ptr<core::LiveBackend> live;
    bool is_member = true;
    bool is_healthy = true;
  };
  ServerNumber number_of(const Endpoint& endpoint) const;
  void add(const Server& server);

  core::Service service_;  // all but its backends
  std::vector<Entry> servers_;
};

}  // namespace nfsteer::lab
