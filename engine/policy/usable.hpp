// The backends of a build that may be picked, without what weight 0 excludes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/service.hpp"

namespace nfsteer::policy {

struct Usable {
  std::uint32_t index = 0;   // into the backends of the build
  std::uint32_t weight = 0;  // positive
};

// In the order of the list.
std::vector<Usable> usable(std::span<const core::Backend> backends);

// By address and port, so that the same backends give the same order however they are listed.
std::vector<Usable> usable_by_identity(std::span<const core::Backend> backends);

// The highest weight first; equal ones by address and port.
std::vector<Usable> usable_by_rank(std::span<const core::Backend> backends);

}  // namespace nfsteer::policy
