// What an explanation needs to know of the host and its kernel.
#pragma once

#include "core/address.hpp"
#include "core/result.hpp"
#include "explain/explain.hpp"

namespace nfsteer::explain {

// Whether packets with this source are this host's own. Errors: the kernel does not tell.
core::Result<bool> is_own_address(const core::IpAddress& address);

// What the kernel's lists remember of clients (plan/affinity.hpp): the last some per backend, whoever placed
// them. A list that cannot be read counts as empty.
ClientMemory kernel_memory();

}  // namespace nfsteer::explain
