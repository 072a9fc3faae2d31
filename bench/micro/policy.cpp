// Every policy of the catalogue: building it and asking it, by number of backends.
#include "core/random.hpp"
#include "fixtures.hpp"
#include "policy/catalogue.hpp"
#include "registry.hpp"

namespace nfsteer::micro {

void add_policies(const Registry& registry) {
  for (const std::string_view policy : policy::names()) {
    for (const std::uint32_t count : kBackendCounts) {
      const std::string name = std::string(policy) + "/" + std::to_string(count);
      registry.add("policy_pick/" + name, [policy, count] {
        const auto to = backends(core::Family::ipv4, count);
        return [to, picker = policy::build(policy, to), random = core::Random(1),
                flow = parsed(sample("TCP SYN")).flow]() mutable {
          ++flow.source_port;
          benchmark::DoNotOptimize(picker->pick(flow, to, random));
        };
      });
      registry.add("policy_build/" + name, [policy, count] {
        return [policy, to = backends(core::Family::ipv4, count)] {
          benchmark::DoNotOptimize(policy::build(policy, to));
        };
      });
    }
  }
}

}  // namespace nfsteer::micro
