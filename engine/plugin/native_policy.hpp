// A policy of a shared object, as the engine asks it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/policy_spec.hpp"
#include "core/result.hpp"
#include "plugin/library.hpp"
#include "policy/policy.hpp"

namespace nfsteer::plugin {

class NativePolicy final : public policy::Policy {
 public:
  // Has the library create one. Errors: what create() says. `path` is for them.
  static core::Result<std::shared_ptr<const NativePolicy>> create(
      const std::string& path, std::shared_ptr<const Library> library, const policy::BuildInput& input,
      std::span<const core::PolicySpec::Option> options);

  ~NativePolicy() override;
  NativePolicy(const NativePolicy&) = delete;
  NativePolicy& operator=(const NativePolicy&) = delete;

  // As the policy answers, unjudged; policy::kFailedPick where it throws.
  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override;
  bool uses_live() const noexcept override;
  void tick(std::uint64_t now_ns) const noexcept override;

 private:
  NativePolicy(std::shared_ptr<const Library> library, void* self);

  const std::shared_ptr<const Library> library_;  // goes last
  uint32_t (*const pick_)(void* self, const nfsteer_flow* flow, nfsteer_context* context);
  void* const self_;
};

}  // namespace nfsteer::plugin
