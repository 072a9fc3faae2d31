// The capabilities the engine needs (capabilities(7)).
#pragma once

#include "core/result.hpp"

namespace nfsteer::process {

// CAP_NET_ADMIN: every netlink message to the queues and every table commit; CAP_NET_RAW: the raw socket that
// tables are read and written through.
core::Result<void> check_privileges();

}  // namespace nfsteer::process
