// What the steering decision asks of a balancing policy. The policies themselves live in the policy layer.
#pragma once

#include <cstdint>
#include <optional>

#include "core/flow.hpp"
#include "core/random.hpp"

namespace nfsteer::core {

// What a worker brings along when it asks.
struct PickContext {
  Random& random;            // the worker's own
  std::uint64_t now_ns = 0;  // a monotonic clock, as of the batch that the packet came in
  std::uint32_t worker = 0;  // 0-based, below the number of workers that the picker was built for
};

class Picker {
 public:
  virtual ~Picker() = default;

  // The backend for a new flow, as a 0-based index into the backends that the picker was built from. Nothing:
  // no backend may take it. Called on worker threads, several at a time, each with a context of its own; must
  // not block or allocate. What a picker remembers from flow to flow is therefore kept per worker or in
  // atomics.
  virtual std::optional<std::uint32_t> pick(const FlowKey& flow, PickContext& context) const noexcept = 0;

  // True: it reads LiveBackend, and wants pending connections counted there.
  virtual bool uses_live() const noexcept { return false; }

  // On the control thread, about once a second, while workers may be in pick().
  virtual void tick(std::uint64_t /*now_ns*/) const noexcept {}
};

}  // namespace nfsteer::core
