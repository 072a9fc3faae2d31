// A whole file of text that people write: a configuration, a scenario.
#pragma once

#include <string>

#include "core/result.hpp"

namespace nfsteer::config {

// At most one byte more than kFileBytesMax: read_yaml() then refuses it. Errors: unreadable.
core::Result<std::string> read_text_file(const std::string& path);

}  // namespace nfsteer::config
