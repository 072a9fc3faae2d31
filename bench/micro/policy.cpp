// Every policy of the catalogue: building it and asking it, by number of backends; and how well it shares.
#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "core/bytes.hpp"
#include "core/random.hpp"
#include "fixtures.hpp"
#include "policy/catalogue.hpp"
#include "registry.hpp"

namespace nfsteer::micro {
namespace {

constexpr std::uint32_t kFlows = 100'000;
constexpr std::uint32_t kJudgedMax = 1000;  // backends; policies that look at all would take minutes beyond

// Backends with live state, as the engine has them.
struct Pool {
  std::vector<core::Backend> backends;
  std::vector<core::LiveBackend> states;
  std::vector<core::LiveBackend*> live;

  explicit Pool(std::uint32_t count)
      : backends(micro::backends(core::Family::ipv4, count)), states(count), live(count) {
    for (std::uint32_t index = 0; index < count; ++index)
      live[index] = &states[index];
  }
  policy::BuildInput input() const { return {backends, live}; }
};

// Asks for one flow per call, each of another client.
class Asker {
 public:
  std::optional<std::uint32_t> ask(const policy::Policy& policy) {
    core::store(flow_.source.data(), ++client_);
    ++flow_.source_port;
    core::PickContext context{random_};
    return policy.pick(flow_, context);
  }

 private:
  core::Random random_{1};
  core::FlowKey flow_ = parsed(sample("TCP SYN")).flow;
  std::uint32_t client_ = 0;
};

// Where each of the flows goes; connections never end, so that loads show what was given.
std::vector<std::uint32_t> placed(const policy::Policy& policy, const Pool& pool) {
  std::vector<std::uint32_t> places;
  Asker asker;
  for (std::uint32_t flow = 0; flow < kFlows; ++flow) {
    const auto index = asker.ask(policy);
    if (policy.uses_live()) pool.live[*index]->picked();
    places.push_back(*index);
  }
  return places;
}

// `imbalance`: the most flows of any backend over its share by weight. `disruption`: flows that go elsewhere
// once the first backend has left, over those that must: its own.
benchmark::UserCounters judge(const core::PolicySpec& spec, std::uint32_t count) {
  const Pool pool(count);
  const auto before = placed(*policy::build(spec, pool.input()), pool);
  Pool less(count);
  less.backends[0].weight = 0;
  const auto after = placed(*policy::build(spec, less.input()), less);
  std::vector<double> taken(count);
  double weights = 0;
  double must_move = 0;
  double moved = 0;
  for (std::uint32_t flow = 0; flow < kFlows; ++flow) {
    taken[before[flow]] += 1;
    must_move += before[flow] == 0;
    moved += before[flow] != after[flow];
  }
  for (const core::Backend& each : pool.backends)
    weights += each.weight;
  double imbalance = 0;
  for (std::uint32_t index = 0; index < count; ++index)
    imbalance = std::max(imbalance, taken[index] / kFlows * weights / pool.backends[index].weight);
  benchmark::UserCounters counters;
  counters["imbalance"] = imbalance;
  // A backend that had no flow need not move any: any move is one too many.
  counters["disruption"] = moved == 0 ? 1 : moved / std::max(1.0, must_move);
  return counters;
}

void add_policy(const Registry& registry, const core::PolicySpec& spec, std::uint32_t count) {
  const std::string name = spec.name + "/" + std::to_string(count);
  const auto prepare = [spec, count] {
    auto pool = std::make_unique<Pool>(count);
    for (std::uint32_t index = 0; index < count; ++index)
      pool->live[index]->set_active(index * 7919 % 100);
    auto policy = policy::build(spec, pool->input());
    return [pool = std::move(pool), policy = std::move(policy), asker = Asker()]() mutable {
      benchmark::DoNotOptimize(asker.ask(*policy));
    };
  };
  if (count <= kJudgedMax) {
    // The benchmark runs several times until it knows how often to iterate; this is the same each time.
    const auto known = std::make_shared<std::optional<benchmark::UserCounters>>();
    registry.add("policy_pick/" + name, prepare, [known, spec, count] {
      if (!*known) *known = judge(spec, count);
      return **known;
    });
  } else {
    registry.add("policy_pick/" + name, prepare);
  }
  registry.add_slow("policy_build/" + name, [spec, count] {
    return [spec, pool = std::make_unique<Pool>(count)] {
      benchmark::DoNotOptimize(policy::build(spec, pool->input()));
    };
  });
}

}  // namespace

void add_policies(const Registry& registry) {
  for (const policy::PolicyInfo& each : policy::catalogue())
    for (const std::uint32_t count : kBackendCounts)
      add_policy(registry, {std::string(each.name), {}}, count);
}

}  // namespace nfsteer::micro
