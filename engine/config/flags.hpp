// Flags to raw values: each value is called by its flag.
#pragma once

#include "config/config.hpp"
#include "config/raw.hpp"

namespace nfsteer::config {

RawValue raw_from(const ServiceFlags& flags);  // a whole document with one service
RawValue raw_from(const EngineFlags& flags);   // the map of the engine's fields

}  // namespace nfsteer::config
