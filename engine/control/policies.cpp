#include "control/policies.hpp"

#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "policy/catalogue.hpp"

namespace nfsteer::control {

Policies::Policies(std::uint32_t workers, plugin::Loader loader, policy::GuardLimits limits,
                   OwnBuilder build_own)
    : workers_(workers), loader_(std::move(loader)), limits_(limits), build_own_(std::move(build_own)) {}

void Policies::look_again() {
  for (auto& [name, built] : built_)
    built.look_again = true;
}

bool Policies::is_outdated(const Built& built) {
  if (!built.look_again || built.record == nullptr) return false;
  // Whether a program's own has changed is not known: it is.
  return built.code == nullptr || built.record->report().set_aside || built.code->has_changed();
}

std::optional<policy::GuardReport> Policies::report_of(const Key& key) const {
  const auto known = built_.find(key);
  if (known == built_.end()) return std::nullopt;
  const auto guarded = std::dynamic_pointer_cast<const policy::Guarded>(known->second.policy);
  if (guarded == nullptr) return std::nullopt;
  return guarded->report();
}

std::vector<std::string> Policies::news() {
  std::vector<std::string> lines;
  for (auto& [key, built] : built_) {
    const auto report = report_of(key);
    if (!report) continue;
    const std::string name = fmt::format("{} {}", key.text(), core::to_string(built.spec));
    if (report->set_aside && !std::exchange(built.told_it_is_aside, true))
      lines.push_back(fmt::format("{}: set aside, weighted random decides: {}", name, report->reason));
    if ((report->faults() > 0 || report->overruns > 0) && !std::exchange(built.told_of_faults, true))
      lines.push_back(fmt::format(
          "{}: of {} decisions, {} named no backend that there is, {} one of weight 0, {} "
          "failed, {} took too long; weighted random decides in place of the wrong ones",
          name, report->picks, report->out_of_range, report->weight_zero, report->failed, report->overruns));
  }
  return lines;
}

core::Result<Policies::Policy> Policies::policy_of(const core::Service& service,
                                                   const std::vector<core::LiveBackend*>& live) {
  return policy_for({service.name, Role::policy}, service.policy, service, live);
}

core::Result<Policies::Policy> Policies::shadow_of(const core::Service& service,
                                                   const std::vector<core::LiveBackend*>& live) {
  if (!service.shadow) return nullptr;
  return policy_for({service.name, Role::shadow}, *service.shadow, service, live);
}

core::Result<Policies::Policy> Policies::policy_for(const Key& key, const core::PolicySpec& spec,
                                                    const core::Service& service,
                                                    const std::vector<core::LiveBackend*>& live) {
  const Built* before = nullptr;
  if (const auto known = built_.find(key); known != built_.end()) {
    Built& built = known->second;
    if (built.spec == spec && !is_outdated(built)) {
      built.look_again = false;
      if (built.backends == service.backends && built.live == live) return built.policy;
      before = &built;
    }
  }
  auto built = build(key, Built{spec, service.backends, live, {}}, before);
  if (!built) {
    core::Error error = built.error();
    error.thing = fmt::format("{} {}", key.text(), error.thing);
    return tl::unexpected(std::move(error));
  }
  return built_.insert_or_assign(key, *std::move(built)).first->second.policy;
}

policy::GuardLimits Policies::limits_for(const core::PolicySpec& spec) const {
  // Decisions in Python wait for one interpreter, which builds tables meanwhile.
  constexpr std::uint64_t kPythonFactor = 50;
  policy::GuardLimits limits = limits_;
  if (spec.name.find(".py:") != std::string::npos) limits.budget_ns *= kPythonFactor;
  return limits;
}

std::string Policies::Key::text() const {
  return fmt::format("service {}: {}", service, role == Role::policy ? "policy" : "shadow");
}

core::Result<Policies::Built> Policies::build(const Key& key, Built built, const Built* before) {
  if (core::is_policy_file(built.spec.name)) return build_from_file(key, std::move(built), before);
  built.policy = policy::build(built.spec, {built.backends, built.live, workers_});
  return built;
}

core::Result<Policies::Built> Policies::build_from_file(const Key& key, Built built, const Built* before) {
  const policy::BuildInput input{built.backends, built.live, workers_};
  if (before != nullptr) {
    built.code = before->code;
    built.record = before->record;
    built.told_of_faults = before->told_of_faults;
    built.told_it_is_aside = before->told_it_is_aside;
  } else {
    built.record = std::make_shared<policy::GuardRecord>(workers_, limits_for(built.spec));
  }
  if (const policy::GuardReport report = built.record->report(); report.set_aside) {
    built.policy = std::make_shared<policy::Guarded>(report.reason, input, built.record);
    return built;
  }
  auto policy = build_custom(built, input);
  if (policy) {
    built.policy = std::make_shared<policy::Guarded>(*std::move(policy), input, built.record);
    return built;
  }
  if (before == nullptr) return tl::unexpected(policy.error());
  spdlog::error("{} {}; weighted random decides for the backends as they are now", key.text(),
                policy.error().line());
  built.policy = std::make_shared<policy::Guarded>(policy.error().line(), input, built.record);
  return built;
}

core::Result<Policies::Policy> Policies::build_custom(Built& built, const policy::BuildInput& input) {
  if (build_own_ && built.code == nullptr) {
    auto own = build_own_(built.spec, input);
    if (!own || *own != nullptr) return own;
  }
  if (built.code == nullptr) {
    auto code = loader_.open(built.spec.name);
    if (!code) return tl::unexpected(code.error());
    built.code = *std::move(code);
  }
  return built.code->build(built.spec.options, input);
}

}  // namespace nfsteer::control
