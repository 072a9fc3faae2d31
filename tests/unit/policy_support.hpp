// Backends, flows and live state for the tests of the policies.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/live_backend.hpp"
#include "core/random.hpp"
#include "policy/catalogue.hpp"
#include "policy/policy.hpp"

namespace nfsteer::policy::test {

using Weights = std::vector<std::uint32_t>;

// 10.0.x.y, or fd00::x:y, by place in the list.
std::vector<core::Backend> backends_of(const Weights& weights, core::Family family = core::Family::ipv4);

// TCP over IPv4 to one VIP: every number another client.
core::FlowKey client_flow(std::uint32_t number);
// TCP, UDP and pings, IPv4 and IPv6.
core::FlowKey any_flow(std::uint32_t number);

// A pool of backends with what is known of them.
class Pool {
 public:
  explicit Pool(const Weights& weights);
  explicit Pool(std::vector<core::Backend> backends);

  std::vector<core::Backend> backends;
  std::vector<core::LiveBackend*> live;

  BuildInput input(std::uint32_t workers = 1) const { return {backends, live, workers}; }
  BuildInput input_without_live() const { return {.backends = backends}; }
  void set_loads(const std::vector<std::uint32_t>& connections) const;

 private:
  std::unique_ptr<core::LiveBackend[]> states_;
};

std::shared_ptr<const Policy> build(std::string_view spec, const BuildInput& input);

// Asks with a random generator of its own.
class Asker {
 public:
  explicit Asker(std::uint64_t seed = 1) : random_(seed) {}

  std::optional<std::uint32_t> ask(const Policy& policy, const core::FlowKey& flow = {},
                                   std::uint64_t now_ns = 0) {
    core::PickContext context{random_, now_ns};
    return policy.pick(flow, context);
  }

 private:
  core::Random random_;
};

// The backends that the first `flows` clients meet.
std::vector<std::uint32_t> places_of(const Policy& policy, std::uint32_t flows);
// How often each of the backends occurs.
std::vector<double> counts_of(std::span<const std::uint32_t> places, std::size_t backends);

// What chi-square with so many degrees of freedom exceeds with a probability of 1e-6 (E. B. Wilson and
// M. M. Hilferty's approximation, within 2 % here).
double chi_square_bound(double degrees);

}  // namespace nfsteer::policy::test
