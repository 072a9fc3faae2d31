// A balancing policy: built on the control thread from a service's backends, then asked by the workers. When
// the backends or their weights change, a new one is built.
//
// What a policy is to do, whoever writes it (tests/unit/policy_contract_test.cpp holds the built-ins to it):
//   - never pick a backend of weight 0; answer "no backend" only where no weight is positive, or where it
//     says so itself (overflow);
//   - all its choices follow from the flow, the context's random numbers and time, and the live state;
//   - be safe under concurrent workers: what it remembers between picks is per worker or atomic.
#pragma once

#include <cstdint>
#include <span>

#include "core/live_backend.hpp"
#include "core/picker.hpp"
#include "core/service.hpp"

namespace nfsteer::policy {

using Policy = core::Picker;

// What a policy is built from. The spans hold for the time of the building only; the live state that `live`
// points to outlives the policy.
struct BuildInput {
  std::span<const core::Backend> backends;  // with effective weights: 0 takes nothing now
  core::LiveView live{};                    // one for each backend, or empty: nothing is known
  std::uint32_t workers = 1;                // that will ask: PickContext::worker is below
};

// What a policy promises beyond that; the contract test checks each.
struct Contract {
  bool proportional = false;        // shares are the weights' (load permitting)
  bool by_flow = false;             // the choice follows from the flow alone: the same flow, the same backend
  bool order_independent = false;   // by backend identity, not by its place in the list
  bool minimal_disruption = false;  // a change moves (almost) only the flows that it has to
  bool uses_live = false;           // reads LiveBackend
};

}  // namespace nfsteer::policy
