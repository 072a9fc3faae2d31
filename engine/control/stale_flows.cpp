#include "control/stale_flows.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include <linux/netfilter/nf_conntrack_common.h>

#include "core/snapshot.hpp"
#include "netlink/conntrack_socket.hpp"

namespace nfsteer::control {
namespace {

using core::Backend;
using core::Service;
using netlink::Connection;

std::shared_ptr<const core::Snapshot> lookup_of(const std::vector<Service>& services) {
  std::vector<core::SteeredService> steered;
  std::uint32_t slots = 0;
  for (const Service& service : services) {
    core::SteeredService& each = steered.emplace_back();
    each.service = service;
    for (std::size_t i = 0; i < service.backends.size(); ++i)
      each.backend_slots.push_back(slots++);
  }
  return std::make_shared<const core::Snapshot>(std::move(steered));
}

bool ends_by_itself(std::uint8_t protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP;
}

// The port that the packets of the connection arrive at: the backend's, or the one the client asked for.
bool is_backend(const Service& service, const Connection& connection) {
  const core::IpAddress address = connection.reply.source_address();
  return std::ranges::any_of(service.backends, [&](const Backend& each) {
    const std::uint16_t port = service.port_at(each);
    return each.address == address && (port == 0 || port == connection.reply.source_port);
  });
}

// From where the backends answer. Asked about each connection of the table, of which there may be as many as
// backends.
class Answers {
 public:
  explicit Answers(const std::vector<Service>& services) {
    for (const Service& service : services)
      for (const Backend& each : service.backends)
        from_.insert({static_cast<std::uint8_t>(service.protocol), each.address, service.port_at(each)});
  }

  bool has(const core::FlowKey& flow) const {
    constexpr auto kAny = static_cast<std::uint8_t>(core::Protocol::any);
    const core::IpAddress address = flow.source_address();
    return from_.contains({flow.protocol, address, flow.source_port}) ||
           from_.contains({flow.protocol, address, 0}) || from_.contains({kAny, address, 0});
  }

 private:
  std::set<std::tuple<std::uint8_t, core::IpAddress, std::uint16_t>> from_;
};

bool resets(const Service& service) {
  return service.on_backend_loss == core::OnBackendLoss::reset;
}

// Does it ever have flows to forget?
bool forgets(const Service& service) {
  return resets(service) ||
         (service.protocol != core::Protocol::tcp && service.protocol != core::Protocol::sctp);
}

bool has_all_backends_of(const Service& after, const Service& before) {
  return std::ranges::all_of(before.backends, [&](const Backend& old) {
    return std::ranges::any_of(after.backends, [&](const Backend& each) {
      return each.address == old.address && after.port_at(each) == before.port_at(old);
    });
  });
}

}  // namespace

std::function<bool(const Connection&)> stale_flows(const std::vector<Service>& before,
                                                   const std::vector<Service>& after) {
  return [old = lookup_of(before), now = lookup_of(after)](const Connection& connection) {
    if ((connection.status & IPS_DST_NAT) == 0) return false;
    const core::SteeredService* const taker = now->find(connection.original);
    if (taker != nullptr && is_backend(taker->service, connection)) return false;
    const core::SteeredService* const owner = taker != nullptr ? taker : old->find(connection.original);
    return owner != nullptr && (resets(owner->service) || !ends_by_itself(connection.original.protocol));
  };
}

std::function<bool(const Connection&)> unbound_flows(const std::vector<Service>& services) {
  return [lookup = lookup_of(services),
          answers = std::make_shared<const Answers>(services)](const Connection& connection) {
    return (connection.status & (IPS_SRC_NAT | IPS_DST_NAT | IPS_SEEN_REPLY)) == 0 &&
           (lookup->find(connection.original) != nullptr || answers->has(connection.original));
  };
}

bool may_leave_stale_flows(const std::vector<Service>& before, const std::vector<Service>& after) {
  const auto same_scope = [](const std::vector<Service>& services, const Service& service) {
    return std::ranges::find_if(services, [&](const Service& each) {
      return each.vip == service.vip && each.protocol == service.protocol && each.port == service.port;
    });
  };
  const bool lost = std::ranges::any_of(before, [&](const Service& old) {
    const auto now = same_scope(after, old);
    return forgets(old) && (now == after.end() || !has_all_backends_of(*now, old));
  });
  // A new service may take what an older, wider one took, what an earlier engine left, or what went nowhere.
  return lost || std::ranges::any_of(
                     after, [&](const Service& each) { return same_scope(before, each) == before.end(); });
}

std::vector<Service> holding(const std::vector<Service>& services,
                             const std::vector<core::Availability>& availability) {
  using core::BackendState;
  std::vector<Service> holders = services;
  for (std::size_t i = 0; i < holders.size(); ++i) {
    if (availability[i].panic) continue;
    const std::vector<BackendState>& states = availability[i].states;
    holders[i].backends.clear();
    for (std::size_t backend = 0; backend < states.size(); ++backend)
      if (states[backend] != BackendState::down && states[backend] != BackendState::maintenance)
        holders[i].backends.push_back(services[i].backends[backend]);
  }
  return holders;
}

core::Result<std::size_t> forget(const std::function<bool(const Connection&)>& stale) {
  auto table = netlink::ConntrackTable::open();
  if (!table) return tl::unexpected(table.error());
  std::size_t forgotten = 0;
  for (const core::Family family : {core::Family::ipv4, core::Family::ipv6}) {
    std::vector<Connection> found;
    const auto read = table->read(
        family,
        [&](const Connection& each) {
          if (stale(each)) found.push_back(each);
        },
        [&] { found.clear(); });
    if (!read) return tl::unexpected(read.error());
    for (const Connection& each : found) {
      const auto erased = table->erase(each);
      if (!erased) return tl::unexpected(erased.error());
      forgotten += *erased ? 1 : 0;
    }
  }
  return forgotten;
}

}  // namespace nfsteer::control
