// `nfsteer policy new`: a directory with a policy that builds, and its test.
#pragma once

#include <filesystem>
#include <string>

#include "core/result.hpp"

namespace nfsteer::cli {

// Writes the directory `where`/NAME and returns it. `language`: c, c++ or python. Errors: the name is none,
// the directory is there already, or it cannot be written.
core::Result<std::filesystem::path> write_new_policy(const std::string& name, const std::string& language,
                                                     const std::filesystem::path& where);

}  // namespace nfsteer::cli
