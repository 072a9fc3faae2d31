#include "control/policies.hpp"

#include <utility>

#include <fmt/format.h>

#include "policy/catalogue.hpp"

namespace nfsteer::control {

Policies::Policies(std::uint32_t workers, FileLoader load_file)
    : workers_(workers), load_file_(std::move(load_file)) {}

core::Result<Policies::Policy> Policies::policy_of(const core::Service& service,
                                                   const std::vector<core::LiveBackend*>& live) {
  if (const auto known = built_.find(service.name); known != built_.end()) {
    const Built& built = known->second;
    if (built.spec == service.policy && built.backends == service.backends && built.live == live)
      return built.policy;
  }
  auto policy = build(service.policy, {service.backends, live, workers_});
  if (!policy) {
    core::Error error = policy.error();
    error.thing = fmt::format("service {}: policy {}", service.name, error.thing);
    return tl::unexpected(std::move(error));
  }
  built_.insert_or_assign(service.name, Built{service.policy, service.backends, live, *policy});
  return policy;
}

core::Result<Policies::Policy> Policies::build(const core::PolicySpec& spec,
                                               const policy::BuildInput& input) const {
  if (core::is_policy_file(spec.name)) return load_file_(spec, input);
  return policy::build(spec, input);
}

}  // namespace nfsteer::control
