#include "lab/decisions.hpp"

#include <utility>

#include "policy/catalogue.hpp"

namespace nfsteer::lab {
namespace {

constexpr std::uint64_t kPolicyStream = 0;  // that of the engine's first worker

}  // namespace

core::Result<PolicyPtr> build_policy(const core::PolicySpec& spec, const policy::BuildInput& input,
                                     const FileLoader& load_file) {
  if (core::is_policy_file(spec.name)) return load_file(spec, input);
  return policy::build(spec, input);
}

Decisions::Decisions(core::PolicySpec spec, FileLoader load_file, Members members, std::uint64_t seed)
    : spec_(std::move(spec)),
      load_file_(std::move(load_file)),
      members_(std::move(members)),
      random_(seed, kPolicyStream) {}

core::Result<Decisions> Decisions::create(core::PolicySpec spec, const FileLoader& load_file, Members members,
                                          std::uint64_t seed) {
  Decisions made(std::move(spec), load_file, std::move(members), seed);
  auto built = build_policy(made.spec_, made.members_.input(), load_file);
  if (!built) return tl::unexpected(built.error());
  made.policy_ = *std::move(built);
  return made;
}

core::Result<bool> Decisions::change_to(Members members) {
  if (members.numbers == members_.numbers && members.backends == members_.backends) return false;
  auto built = build_policy(spec_, members.input(), load_file_);
  if (!built) return tl::unexpected(built.error());
  members_ = std::move(members);
  policy_ = *std::move(built);
  return true;
}

}  // namespace nfsteer::lab
