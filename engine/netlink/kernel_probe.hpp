// What netfilter's netlink interfaces of this kernel offer. Each question changes nothing, and may have the
// kernel load the module that answers it. Errors: no netlink socket, no CAP_NET_ADMIN.
#pragma once

#include "core/result.hpp"

namespace nfsteer::netlink {

// nfnetlink_queue: queues for user space.
core::Result<bool> has_queues();

// NFQUEUE can tell of a packet's connection (CONFIG_NETFILTER_NETLINK_GLUE_CT).
core::Result<bool> queues_tell_connections();

// nf_conntrack_netlink: the table of connections can be read.
core::Result<bool> has_connection_table();

}  // namespace nfsteer::netlink
