// Every policy of the catalogue: building it and asking it, by number of backends; and how well it shares.
#include <memory>
#include <string>
#include <utility>

#include "judge.hpp"
#include "policy/catalogue.hpp"
#include "registry.hpp"

namespace nfsteer::micro {
namespace {

void add_policy(const Registry& registry, const core::PolicySpec& spec, std::uint32_t count) {
  const std::string name = spec.name + "/" + std::to_string(count);
  const BuildPolicy build = [spec](const policy::BuildInput& input) { return policy::build(spec, input); };
  const auto prepare = [build, count] {
    auto pool = std::make_unique<Pool>(count);
    for (std::uint32_t index = 0; index < count; ++index)
      pool->live[index]->set_active(index * 7919 % 100);
    auto policy = build(pool->input());
    return [pool = std::move(pool), policy = std::move(policy), asker = Asker()]() mutable {
      benchmark::DoNotOptimize(asker.ask(*policy));
    };
  };
  registry.add("policy_pick/" + name, prepare, judge(build, count));
  registry.add_slow("policy_build/" + name, [build, count] {
    return [build, pool = std::make_unique<Pool>(count)] { benchmark::DoNotOptimize(build(pool->input())); };
  });
}

}  // namespace

void add_policies(const Registry& registry) {
  for (const policy::PolicyInfo& each : policy::catalogue())
    for (const std::uint32_t count : kBackendCounts)
      add_policy(registry, {std::string(each.name), {}}, count);
}

}  // namespace nfsteer::micro
