// What the steering decision asks of a balancing policy. The policies themselves live in the policy layer.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/flow.hpp"
#include "core/random.hpp"
#include "core/service.hpp"

namespace nfsteer::core {

class Picker {
 public:
  virtual ~Picker() = default;

  // The backend for a new flow, as a 0-based index into `backends`: the same backends, in the same order,
  // that the picker was built from. Nothing: no backend may take it. Called on worker threads, several at a
  // time, each with a `random` of its own; must not block or allocate.
  virtual std::optional<std::uint32_t> pick(const FlowKey& flow, std::span<const Backend> backends,
                                            Random& random) const noexcept = 0;
};

}  // namespace nfsteer::core
