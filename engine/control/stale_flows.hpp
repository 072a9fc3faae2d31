// What conntrack still sends to backends that are gone.
//
// TCP connections end by themselves. A UDP client may send from one port for hours, and each datagram renews
// its entry: without help it would go to the removed backend all that time. So do pings.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "core/result.hpp"
#include "core/service.hpp"
#include "netlink/conntrack_message.hpp"

namespace nfsteer::control {

// True for what is to be forgotten, now that `before` has become `after`: connections without a connection's
// end (UDP, ICMP queries, whatever is not TCP, SCTP or DCCP) to a service of either, translated to what is no
// backend of the service that takes it now. Backends of weight 0 keep theirs. With an empty `before`: what an
// earlier engine left.
std::function<bool(const netlink::Connection&)> stale_flows(const std::vector<core::Service>& before,
                                                            const std::vector<core::Service>& after);

// Whether the change can have left any: a backend is gone, or a service is new or gone, whose protocol is not
// TCP or SCTP.
bool may_leave_stale_flows(const std::vector<core::Service>& before, const std::vector<core::Service>& after);

// Deletes from conntrack what is stale; returns how many connections. The next packet of such a client is a
// new connection's. Errors: conntrack cannot be asked.
core::Result<std::size_t> forget(const std::function<bool(const netlink::Connection&)>& stale);

}  // namespace nfsteer::control
