#include "lab/fleet.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace nfsteer::lab {

std::uint64_t Members::weight() const {
  std::uint64_t sum = 0;
  for (const core::Backend& each : backends)
    sum += each.weight;
  return sum;
}

Fleet::Fleet(const Scenario& scenario) {
  service_.vip = scenario.vip;
  service_.port = scenario.port;
  service_.protocol = scenario.protocol;
  for (const Server& each : scenario.servers)  // no two alike
    servers_.push_back({each, std::make_unique<core::LiveBackend>()});
}

ServerNumber Fleet::number_of(const Endpoint& endpoint) const {
  const auto found = std::ranges::find_if(
      servers_, [&](const Entry& each) { return endpoint_of(each.server.backend) == endpoint; });
  return static_cast<ServerNumber>(found - servers_.begin());
}

// One that comes back under its old address keeps its number, and is new otherwise.
void Fleet::add(const Server& server) {
  const ServerNumber number = number_of(endpoint_of(server.backend));
  if (number == servers_.size()) {
    servers_.push_back({server, std::make_unique<core::LiveBackend>()});
    return;
  }
  Entry& entry = servers_[number];
  entry.server = server;
  entry.is_member = true;
  entry.is_healthy = true;
  entry.live->forget();
}

ServerNumber Fleet::apply(const Change& change) {
  if (change.action == Action::add) add(*change.server);
  const ServerNumber number = number_of(change.backend);
  assert(number < servers_.size());
  Entry& entry = servers_[number];
  switch (change.action) {
    case Action::remove:
      entry.is_member = false;
      break;
    case Action::activate:
      entry.server.backend.state = core::AdminState::active;
      break;
    case Action::drain:
      entry.server.backend.state = core::AdminState::drain;
      break;
    case Action::maintenance:
      entry.server.backend.state = core::AdminState::maintenance;
      break;
    case Action::weight:
      entry.server.backend.weight = change.weight;
      break;
    case Action::add:
    case Action::fail:
    case Action::recover:
    case Action::slow:
      break;
  }
  return number;
}

bool Fleet::set_healthy(ServerNumber number, bool is_healthy) {
  return std::exchange(servers_[number].is_healthy, is_healthy) != is_healthy;
}

Members Fleet::members() const {
  core::Service service = service_;
  std::vector<core::Condition> conditions;
  Members members;
  for (ServerNumber number = 0; number < servers_.size(); ++number) {
    const Entry& entry = servers_[number];
    if (!entry.is_member) continue;
    service.backends.push_back(entry.server.backend);
    conditions.push_back({entry.is_healthy ? core::Health::up : core::Health::down, 1});
    members.numbers.push_back(number);
    members.live.push_back(entry.live.get());
  }
  core::Availability now = core::availability(service, conditions);
  for (std::size_t i = 0; i < members.live.size(); ++i)
    members.live[i]->set_state(static_cast<std::uint8_t>(now.states[i]));
  members.backends = std::move(now.backends);
  return members;
}

}  // namespace nfsteer::lab
