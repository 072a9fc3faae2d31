// Every built-in policy by name. To add one: write its class beside this file and add its row to
// catalogue.cpp.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "policy/policy.hpp"

namespace nfsteer::policy {

// Names in the order they are documented in; the first is the default.
std::span<const std::string_view> names();

// Null if no policy has that name.
std::shared_ptr<const Policy> build(std::string_view name, std::span<const core::Backend> backends);

}  // namespace nfsteer::policy
