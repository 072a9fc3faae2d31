// The C interface for policies (bindings/c/nfsteer/policy.h) seen from the host: the structures that policies
// are given, and what is checked of those that they give.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/flow.hpp"
#include "core/live_backend.hpp"
#include "core/picker.hpp"
#include "core/policy_spec.hpp"
#include "core/result.hpp"
#include "nfsteer/policy.h"
#include "policy/policy.hpp"

namespace nfsteer::plugin {

// Bytes that a policy has for its error text.
inline constexpr std::size_t kErrorTextMax = 512;

// The services of the host; the same for the whole process.
const nfsteer_host& host();

// What create() is given, made from what the policy layer builds from. The input's backends and options
// outlive this, and this outlives the call.
class AbiInput {
 public:
  AbiInput(const policy::BuildInput& input, std::span<const core::PolicySpec::Option> options);
  AbiInput(const AbiInput&) = delete;
  AbiInput& operator=(const AbiInput&) = delete;

  const nfsteer_input& view() const { return view_; }

 private:
  std::vector<nfsteer_backend> backends_;
  std::vector<nfsteer_option> options_;
  nfsteer_input view_{};
};

// The other way round, for policies that ask for a built-in.
struct BuiltInput {
  explicit BuiltInput(const nfsteer_input& input);
  policy::BuildInput view() const { return {backends, live, workers}; }

  std::vector<core::Backend> backends;
  std::vector<core::LiveBackend*> live;
  std::uint32_t workers;
};

// The table of a policy with what it is known to hold: fields that its library has not heard of are 0.
// Errors: another ABI, a table too short for it, or a function that has to be there and is not. `path` is for
// the error.
core::Result<nfsteer_policy> check_table(const std::string& path, const nfsteer_policy* table);

// A text that a policy has written into a buffer of kErrorTextMax: one line, whatever it holds; never empty.
std::string error_text(const char (&buffer)[kErrorTextMax]);

// The flow and the context as policies see them.
inline const nfsteer_flow* abi_of(const core::FlowKey& flow) noexcept {
  return reinterpret_cast<const nfsteer_flow*>(&flow);
}
inline nfsteer_context abi_of(core::PickContext& context) noexcept {
  return {reinterpret_cast<nfsteer_random*>(&context.random), context.now_ns, context.worker};
}

}  // namespace nfsteer::plugin
