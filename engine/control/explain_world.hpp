// What an explanation needs to know of the host.
#pragma once

#include "core/address.hpp"
#include "core/result.hpp"

namespace nfsteer::control {

// Whether packets with this source are this host's own. Errors: the kernel does not tell.
core::Result<bool> is_own_address(const core::IpAddress& address);

}  // namespace nfsteer::control
