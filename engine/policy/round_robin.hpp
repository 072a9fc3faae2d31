// Round robin: each backend in turn, whatever its weight, except 0.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policy/per_worker.hpp"
#include "policy/policy.hpp"

namespace nfsteer::policy {

// Each worker goes round by itself and starts at a backend drawn at random: with a fixed one, the first
// backends of the list would get more than the others wherever lists are rebuilt often.
class RoundRobin final : public Policy {
 public:
  explicit RoundRobin(const BuildInput& input);

  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;

 private:
  struct Turn {
    bool has_started = false;
    std::uint32_t next = 0;  // into indices_
  };
  std::vector<std::uint32_t> indices_;  // of the usable backends
  PerWorker<Turn> turns_;
};

}  // namespace nfsteer::policy
