// Every policy of the catalogue: building it and asking it, by number of backends.
#include "core/random.hpp"
#include "fixtures.hpp"
#include "policy/catalogue.hpp"
#include "registry.hpp"

namespace nfsteer::micro {

void add_policies(const Registry& registry) {
  for (const policy::PolicyInfo& each : policy::catalogue()) {
    for (const std::uint32_t count : kBackendCounts) {
      const std::string name = std::string(each.name) + "/" + std::to_string(count);
      const core::PolicySpec spec{std::string(each.name), {}};
      registry.add("policy_pick/" + name, [spec, count] {
        const auto to = backends(core::Family::ipv4, count);
        return [picker = policy::build(spec, {to}), random = core::Random(1),
                flow = parsed(sample("TCP SYN")).flow]() mutable {
          ++flow.source_port;
          core::PickContext context{random};
          benchmark::DoNotOptimize(picker->pick(flow, context));
        };
      });
      registry.add("policy_build/" + name, [spec, count] {
        return [spec, to = backends(core::Family::ipv4, count)] {
          benchmark::DoNotOptimize(policy::build(spec, {to}));
        };
      });
    }
  }
}

}  // namespace nfsteer::micro
