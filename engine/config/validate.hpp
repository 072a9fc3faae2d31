// Raw values to a Config: what fields there are, what each may hold, and what they must not say together. The
// only place where that is decided, whatever the source of the values.
#pragma once

#include <span>
#include <string_view>

#include "config/config.hpp"
#include "config/raw.hpp"
#include "core/result.hpp"

namespace nfsteer::config {

// `file` is what errors call the source; values that carry a flag are called by it instead.
core::Result<Config> validate(const RawValue& document, std::string_view file);

// The fields of the map go on top of `base`.
core::Result<Engine> validate_engine(const RawValue& map, std::string_view file, Engine base);

}  // namespace nfsteer::config
