// Builds the policies of services, and keeps those of services that have not changed: a table of 65,537
// entries, or a round robin's place, is not thrown away because another service has a new backend.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/service.hpp"
#include "policy/policy.hpp"

namespace nfsteer::control {

class Policies {
 public:
  using Policy = std::shared_ptr<const policy::Policy>;
  // Builds a policy that comes from a file (core::is_policy_file()).
  using FileLoader = std::function<core::Result<Policy>(const core::PolicySpec&, const policy::BuildInput&)>;

  Policies(std::uint32_t workers, FileLoader load_file);

  // Of a service with effective weights. `live`: one for each backend, or empty. Errors: of the file.
  core::Result<Policy> policy_of(const core::Service& service, const std::vector<core::LiveBackend*>& live);
  // Of its shadow; null where it has none.
  core::Result<Policy> shadow_of(const core::Service& service, const std::vector<core::LiveBackend*>& live);

  // Forgets the policies of all services but those for which `keep(name)` holds.
  template <typename Keep>
  void release_unless(Keep keep) {
    std::erase_if(built_, [&](const auto& each) { return !keep(each.first.service); });
  }

 private:
  struct Built {
    core::PolicySpec spec;
    std::vector<core::Backend> backends;
    std::vector<core::LiveBackend*> live;
    Policy policy;
  };
  enum class Role : std::uint8_t { policy, shadow };
  struct Key {
    std::string service;
    Role role = Role::policy;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  core::Result<Policy> policy_for(Role role, const core::PolicySpec& spec, const core::Service& service,
                                  const std::vector<core::LiveBackend*>& live);
  core::Result<Policy> build(const core::PolicySpec& spec, const policy::BuildInput& input) const;

  std::uint32_t workers_;
  FileLoader load_file_;
  std::map<Key, Built> built_;
};

}  // namespace nfsteer::control
