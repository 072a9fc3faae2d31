// What conntrack still sends to backends that are gone.
//
// A UDP client may send from one port for hours, and each datagram renews its entry: without help it would go
// to the removed backend all that time. So do pings. TCP connections end by themselves, and are cut short
// only where the service asks for it (core::OnBackendLoss::reset).
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "core/availability.hpp"
#include "core/result.hpp"
#include "core/service.hpp"
#include "netlink/conntrack_message.hpp"

namespace nfsteer::control {

// Both lists hold, of each service, the backends that keep what they have: those of weight 0 and the draining
// do, those that are down or in maintenance do not (see holding()).
//
// True for what is to be forgotten, now that `before` has become `after`: connections to a service of either,
// translated to what is no backend of the service that takes it now. Of connections with an end of their own
// (TCP, SCTP, DCCP) only those of services that reset them. With an empty `before`: what an earlier engine
// left.
std::function<bool(const netlink::Connection&)> stale_flows(const std::vector<core::Service>& before,
                                                            const std::vector<core::Service>& after);

// True for what began while our rules were not there, since others had removed them, or since the service did
// not exist yet: connections to a service that are not translated, and that nobody has answered. Conntrack
// asks the rules about the first packet only; what is sent again would go nowhere for as long as the entry
// lives, which each packet renews.
//
// True, too, for a backend's answer to a packet that the engine had rewritten and no rule translated: before
// Linux 6.12 the flow's next packet, rewritten the same way, is taken for one of that entry when it comes
// back from its queue (__nf_conntrack_update), and asks no rule either.
std::function<bool(const netlink::Connection&)> unbound_flows(const std::vector<core::Service>& services);

// Whether the change can have left any of either: a service is new; or a backend, or a service, is gone that
// has flows to forget at all.
bool may_leave_stale_flows(const std::vector<core::Service>& before, const std::vector<core::Service>& after);

// The services with those of their backends that keep the connections they have. `availability`: of each
// service. In panic everybody does.
std::vector<core::Service> holding(const std::vector<core::Service>& services,
                                   const std::vector<core::Availability>& availability);

// Deletes from conntrack what is stale; returns how many connections. The next packet of such a client is a
// new connection's. Errors: conntrack cannot be asked.
core::Result<std::size_t> forget(const std::function<bool(const netlink::Connection&)>& stale);

}  // namespace nfsteer::control
