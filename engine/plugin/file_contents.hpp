// The file of a policy, read whole, if it is one that the engine may run: a regular file and its directory
// that belong to root or to the engine's user, and that nobody else may write to. Whoever may write a policy
// runs code as the engine.
#pragma once

#include <string>

#include "confine/descriptor.hpp"
#include "core/result.hpp"

namespace nfsteer::plugin {

// Larger ones are refused.
inline constexpr std::size_t kPolicyFileMax = std::size_t{64} << 20;  // bytes

// Errors: the file is not there, is no regular file, or others may write to it.
core::Result<std::string> read_policy_file(const std::string& path);

// A file that exists in memory only, with these contents. `name` is for people who look at the process.
core::Result<confine::Descriptor> memory_file(const std::string& name, const std::string& contents);

}  // namespace nfsteer::plugin
