// Builds the policies of services, and keeps those of services that have not changed: a table of 65,537
// entries, or a round robin's place, is not thrown away because another service has a new backend.
//
// A policy from a file is guarded (policy/guarded.hpp). Where one that has been taken cannot be built for
// what its backends have become, weighted random decides: traffic must not wait for whoever wrote it.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/service.hpp"
#include "plugin/loader.hpp"
#include "policy/guarded.hpp"
#include "policy/policy.hpp"

namespace nfsteer::control {

class Policies {
 public:
  using Policy = std::shared_ptr<const policy::Policy>;

  // Builds the policies that a program has in itself. Null: not one of them, so the loader's.
  using OwnBuilder = std::function<core::Result<Policy>(const core::PolicySpec&, const policy::BuildInput&)>;

  Policies(std::uint32_t workers, plugin::Loader loader, policy::GuardLimits limits,
           OwnBuilder build_own = {});

  // Of a service with effective weights. `live`: one for each backend, or empty. Errors: of the file.
  core::Result<Policy> policy_of(const core::Service& service, const std::vector<core::LiveBackend*>& live);
  // Of its shadow; null where it has none.
  core::Result<Policy> shadow_of(const core::Service& service, const std::vector<core::LiveBackend*>& live);

  // What a service's policy, or shadow, from a file has done; nothing: it comes from no file.
  std::optional<policy::GuardReport> policy_report(const std::string& service) const {
    return report_of({service, Role::policy});
  }
  std::optional<policy::GuardReport> shadow_report(const std::string& service) const {
    return report_of({service, Role::shadow});
  }
  // A line for each policy that has done something wrong, once, and for each that has been set aside.
  std::vector<std::string> news();

  // Files that have changed are loaded again when their policies are next asked for, and policies that have
  // been set aside have another chance. Without it a file is read only when a service is given it.
  void look_again();

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
    std::shared_ptr<plugin::PolicyCode> code{};     // null: of no file, or the program's own
    std::shared_ptr<policy::GuardRecord> record{};  // null: of the catalogue
    bool look_again = false;
    bool told_of_faults = false;
    bool told_it_is_aside = false;
  };
  enum class Role : std::uint8_t { policy, shadow };
  struct Key {
    std::string service;
    Role role = Role::policy;
    friend auto operator<=>(const Key&, const Key&) = default;
    std::string text() const;  // "service web: policy"
  };
  std::optional<policy::GuardReport> report_of(const Key& key) const;
  policy::GuardLimits limits_for(const core::PolicySpec& spec) const;
  static bool is_outdated(const Built& built);
  core::Result<Policy> policy_for(const Key& key, const core::PolicySpec& spec, const core::Service& service,
                                  const std::vector<core::LiveBackend*>& live);
  // What is to be built in place of `built`. `before`: what the key has been given of the same spec; null:
  // nothing.
  core::Result<Built> build(const Key& key, Built built, const Built* before);
  core::Result<Built> build_from_file(const Key& key, Built built, const Built* before);
  // By the code of `built`, or by its program.
  core::Result<Policy> build_custom(Built& built, const policy::BuildInput& input);

  std::uint32_t workers_;
  plugin::Loader loader_;
  policy::GuardLimits limits_;
  OwnBuilder build_own_;
  std::map<Key, Built> built_;
};

}  // namespace nfsteer::control
