// The short form of a backend, the same for --backend and in a file: ADDR[:PORT][,weight=N]. An IPv6 address
// with a port stands in brackets: [fd00::1]:8080.
#pragma once

#include "config/places.hpp"
#include "config/raw.hpp"
#include "core/result.hpp"

namespace nfsteer::config {

// The map that means the same as the text at `place`; its fields stand where the text stands. Splits only:
// what the fields hold is for the validator.
core::Result<RawValue> expand_backend(const Place& place);

}  // namespace nfsteer::config
