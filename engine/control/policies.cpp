#include "control/policies.hpp"

#include <utility>

#include <fmt/format.h>

#include "policy/catalogue.hpp"

namespace nfsteer::control {

Policies::Policies(std::uint32_t workers, FileLoader load_file)
    : workers_(workers), load_file_(std::move(load_file)) {}

core::Result<Policies::Policy> Policies::policy_of(const core::Service& service,
                                                   const std::vector<core::LiveBackend*>& live) {
  return policy_for(Role::policy, service.policy, service, live);
}

core::Result<Policies::Policy> Policies::shadow_of(const core::Service& service,
                                                   const std::vector<core::LiveBackend*>& live) {
  if (!service.shadow) return nullptr;
  return policy_for(Role::shadow, *service.shadow, service, live);
}

core::Result<Policies::Policy> Policies::policy_for(Role role, const core::PolicySpec& spec,
                                                    const core::Service& service,
                                                    const std::vector<core::LiveBackend*>& live) {
  const Key key{service.name, role};
  if (const auto known = built_.find(key); known != built_.end()) {
    const Built& built = known->second;
    if (built.spec == spec && built.backends == service.backends && built.live == live) return built.policy;
  }
  auto policy = build(spec, {service.backends, live, workers_});
  if (!policy) {
    core::Error error = policy.error();
    error.thing = fmt::format("service {}: {} {}", service.name, role == Role::policy ? "policy" : "shadow",
                              error.thing);
    return tl::unexpected(std::move(error));
  }
  built_.insert_or_assign(key, Built{spec, service.backends, live, *policy});
  return policy;
}

core::Result<Policies::Policy> Policies::build(const core::PolicySpec& spec,
                                               const policy::BuildInput& input) const {
  if (core::is_policy_file(spec.name)) return load_file_(spec, input);
  return policy::build(spec, input);
}

}  // namespace nfsteer::control
