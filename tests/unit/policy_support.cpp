#include "policy_support.hpp"

#include <cmath>
#include <utility>

#include "core/bytes.hpp"

namespace nfsteer::policy::test {

std::vector<core::Backend> backends_of(const Weights& weights, core::Family family) {
  std::vector<core::Backend> backends;
  for (std::uint32_t index = 0; index < weights.size(); ++index) {
    std::array<std::uint8_t, 16> bytes{10};
    if (family == core::Family::ipv6) bytes[0] = 0xfd;
    const std::size_t length = family == core::Family::ipv4 ? 4 : 16;
    bytes[length - 2] = static_cast<std::uint8_t>(index >> 8);
    bytes[length - 1] = static_cast<std::uint8_t>(index);
    backends.push_back({core::IpAddress::from_bytes(family, {bytes.data(), length}), 0, weights[index]});
  }
  return backends;
}

core::FlowKey client_flow(std::uint32_t number) {
  core::FlowKey flow;
  core::store(flow.source.data(), 0x0a000000 + number);
  core::store(flow.destination.data(), std::uint32_t{0x2800000a});
  flow.source_port = static_cast<std::uint16_t>(1024 + number % 60000);
  flow.destination_port = 80;
  flow.protocol = 6;
  return flow;
}

core::FlowKey any_flow(std::uint32_t number) {
  core::FlowKey flow = client_flow(number);
  if (number % 2 == 1) {
    flow.family = core::Family::ipv6;
    core::store(flow.source.data() + 12, number);
    core::store(flow.destination.data() + 12, std::uint32_t{0x40});
  }
  constexpr std::uint8_t kUdp = 17;
  constexpr std::uint8_t kIcmp = 1;
  constexpr std::uint8_t kIcmp6 = 58;
  if (number % 3 == 1) flow.protocol = kUdp;
  if (number % 3 == 2) {
    flow.protocol = flow.family == core::Family::ipv4 ? kIcmp : kIcmp6;
    flow.destination_port = 0;
  }
  return flow;
}

Pool::Pool(const Weights& weights) : Pool(backends_of(weights)) {}

Pool::Pool(std::vector<core::Backend> of)
    : backends(std::move(of)), states_(std::make_unique<core::LiveBackend[]>(backends.size())) {
  for (std::size_t index = 0; index < backends.size(); ++index)
    live.push_back(&states_[index]);
}

void Pool::set_loads(const std::vector<std::uint32_t>& connections) const {
  for (std::size_t index = 0; index < connections.size(); ++index)
    live[index]->set_active(connections[index]);
}

std::shared_ptr<const Policy> build(std::string_view spec, const BuildInput& input) {
  return policy::build(core::parse_policy_spec(spec).value(), input);
}

std::vector<std::uint32_t> places_of(const Policy& policy, std::uint32_t flows) {
  Asker asker;
  std::vector<std::uint32_t> places;
  for (std::uint32_t flow = 0; flow < flows; ++flow)
    places.push_back(asker.ask(policy, client_flow(flow)).value());
  return places;
}

std::vector<double> counts_of(std::span<const std::uint32_t> places, std::size_t backends) {
  std::vector<double> counts(backends, 0.0);
  for (const std::uint32_t place : places)
    counts.at(place) += 1;
  return counts;
}

double chi_square_bound(double degrees) {
  constexpr double kNormalQuantile = 4.7534;  // of 1 - 1e-6
  const double spread = 2 / (9 * degrees);
  return degrees * std::pow(1 - spread + kNormalQuantile * std::sqrt(spread), 3);
}

}  // namespace nfsteer::policy::test
