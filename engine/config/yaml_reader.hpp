// YAML text to raw values. What YAML allows and a configuration does not need is refused here, by its line:
// anchors and aliases (a few bytes of them can mean gigabytes), tags, fields that have no plain name, several
// documents.
#pragma once

#include <string>

#include "config/raw.hpp"
#include "core/result.hpp"

namespace nfsteer::config {

core::Result<RawValue> read_yaml(const std::string& text, const std::string& file_name);

}  // namespace nfsteer::config
