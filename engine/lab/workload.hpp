// Where the flows of a run come from. The same scenario gives the same flows to every policy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/random.hpp"
#include "lab/distribution.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::lab {

// So many clients have an address each: 100.64.0.0/10, or 2001:db8::/96.
inline constexpr std::uint32_t kClientsMax = 1U << 22;

// The flows to the service from its clients.
class Clients {
 public:
  explicit Clients(const Scenario& scenario);
  core::FlowKey next(core::Random& random) const;
  // As if all clients were equally popular.
  core::FlowKey next_uniform(core::Random& random) const;

 private:
  core::FlowKey key_of(std::uint32_t client, core::Random& random) const;

  core::FlowKey to_service_;
  std::uint32_t count_;
  Zipf popularity_;
};

// In the order of their start.
class FlowSource {
 public:
  explicit FlowSource(const Scenario& scenario);  // which must outlive it

  // False: there are no more, and `flow` is as it was.
  bool next(Flow& flow);

  // When the last will have come, more or less.
  Nanoseconds expected_end() const;

 private:
  bool next_recorded(Flow& flow);
  void draw_work(Flow& flow);
  Nanoseconds next_gap();
  Nanoseconds next_gap_of_bursts();

  const Scenario& scenario_;
  Clients clients_;
  core::Random times_;    // when they come
  core::Random keys_;     // who they are
  core::Random demands_;  // what they want
  std::uint64_t count_ = 0;
  double now_ = 0;         // nanoseconds
  double burst_left_ = 0;  // of the phase in which flows come
};

}  // namespace nfsteer::lab
