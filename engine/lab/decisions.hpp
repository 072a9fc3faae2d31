// The policy under test: built as the engine builds it, and asked as a worker asks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "core/picker.hpp"
#include "core/policy_spec.hpp"
#include "core/result.hpp"
#include "lab/fleet.hpp"
#include "policy/policy.hpp"

namespace nfsteer::lab {

using PolicyPtr = std::shared_ptr<const policy::Policy>;

// Builds a policy that comes from a file; what control::Policies::FileLoader is to the engine.
using FileLoader = std::function<core::Result<PolicyPtr>(const core::PolicySpec&, const policy::BuildInput&)>;

// `spec` is one that policy::check() has found right. Errors: of the file.
core::Result<PolicyPtr> build_policy(const core::PolicySpec& spec, const policy::BuildInput& input,
                                     const FileLoader& load_file);

// The answer of a policy as the engine takes it: an index that is out of range, as a policy from a file might
// give, is none.
inline std::optional<ServerNumber> pick_number(const policy::Policy& policy, const Members& members,
                                               const core::FlowKey& key, core::PickContext& context) {
  const auto index = policy.pick(key, context);
  if (!index || *index >= members.numbers.size()) return std::nullopt;
  return members.numbers[*index];
}

// Builds the policy anew when the backends change, effective weights included, and never otherwise.
class Decisions {
 public:
  static core::Result<Decisions> create(core::PolicySpec spec, const FileLoader& load_file, Members members,
                                        std::uint64_t seed);

  // True: the members are not what they were, and the policy is a new one.
  core::Result<bool> change_to(Members members);

  std::optional<ServerNumber> pick(const core::FlowKey& key, Nanoseconds now) {
    if (now >= next_tick_) tick(now);
    core::PickContext context{random_, now, 0};
    return pick_number(*policy_, members_, key, context);
  }

  const policy::Policy& policy() const { return *policy_; }
  const Members& members() const { return members_; }

 private:
  Decisions(core::PolicySpec spec, FileLoader load_file, Members members, std::uint64_t seed);

  // Once a second, as the engine does; seconds without a flow change nothing that anybody could see.
  void tick(Nanoseconds now) {
    policy_->tick(now);
    next_tick_ = now + kSecond;
  }

  core::PolicySpec spec_;
  FileLoader load_file_;
  Members members_;
  core::Random random_;
  PolicyPtr policy_;
  Nanoseconds next_tick_ = 0;
};

}  // namespace nfsteer::lab
