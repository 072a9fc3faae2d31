// How many flows a change of the backends moves: a fixed set of probe flows is asked before and after it,
// while the live state stands still.
#pragma once

#include <cstdint>
#include <vector>

#include "core/flow.hpp"
#include "core/policy_spec.hpp"
#include "core/result.hpp"
#include "lab/decisions.hpp"
#include "lab/fleet.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::lab {

struct Disruption {
  double moved = 0;    // share of the probes whose backend is another one, or none, after the change
  double optimum = 0;  // the least share that any policy must move whose shares are the weights'
};

// The sum of what the backends lose: half the distance of the two share vectors, by backend (the total
// variation distance).
double least_moved(const Members& before, const Members& after);

class Probes {
 public:
  explicit Probes(const Scenario& scenario);

  // Both times by a policy built for the purpose, so that the one under test notices nothing. A policy that
  // goes by chance or by turns is met in another state afterwards, as a client that comes back would: the
  // second time the probes come in another order, and so by other random numbers.
  core::Result<Disruption> measure(const core::PolicySpec& spec, const FileLoader& load_file,
                                   const Members& before, const Members& after, Nanoseconds now) const;

  bool empty() const { return flows_.empty(); }
  const std::vector<core::FlowKey>& flows() const { return flows_; }

 private:
  core::Result<std::vector<ServerNumber>> choices(const core::PolicySpec& spec, const FileLoader& load_file,
                                                  const Members& members, Nanoseconds now,
                                                  bool second_time) const;

  std::uint64_t seed_;
  std::vector<core::FlowKey> flows_;
  std::vector<std::uint32_t> second_order_;
};

}  // namespace nfsteer::lab
