#include "plugin/native_policy.hpp"

#include <exception>
#include <utility>

#include <fmt/format.h>

#include "plugin/abi.hpp"
#include "policy/guarded.hpp"

namespace nfsteer::plugin {

static_assert(policy::kFailedPick == NFSTEER_FAILED);

core::Result<std::shared_ptr<const NativePolicy>> NativePolicy::create(
    const std::string& path, std::shared_ptr<const Library> library, const policy::BuildInput& input,
    std::span<const core::PolicySpec::Option> options) {
  const AbiInput given(input, options);
  // One byte more than the policy is told of: its text ends, whatever it writes.
  char error[kErrorTextMax]{};
  try {
    void* self = library->table().create(&given.view(), error, sizeof error - 1);
    if (self != nullptr)
      return std::shared_ptr<const NativePolicy>(new NativePolicy(std::move(library), self));
  } catch (const std::exception& thrown) {
    return core::usage_error(path, fmt::format("create() threw an exception: {}", thrown.what()));
  } catch (...) {
    return core::usage_error(path, "create() threw an exception");
  }
  return core::usage_error(path, error_text(error));
}

NativePolicy::NativePolicy(std::shared_ptr<const Library> library, void* self)
    : library_(std::move(library)), pick_(library_->table().pick), self_(self) {}

NativePolicy::~NativePolicy() {
  try {
    library_->table().destroy(self_);
  } catch (...) {  // what is left of it is lost, and harms nobody
  }
}

std::optional<std::uint32_t> NativePolicy::pick(const core::FlowKey& flow,
                                                core::PickContext& context) const noexcept {
  nfsteer_context given = abi_of(context);
  try {
    const std::uint32_t index = pick_(self_, abi_of(flow), &given);
    if (index == NFSTEER_NO_BACKEND) return std::nullopt;
    return index;
  } catch (...) {
    return policy::kFailedPick;
  }
}

bool NativePolicy::uses_live() const noexcept {
  return (library_->table().flags & NFSTEER_USES_LIVE) != 0;
}

void NativePolicy::tick(std::uint64_t now_ns) const noexcept {
  if (library_->table().tick == nullptr) return;
  try {
    library_->table().tick(self_, now_ns);
  } catch (...) {  // its picks show whether it can go on
  }
}

}  // namespace nfsteer::plugin
