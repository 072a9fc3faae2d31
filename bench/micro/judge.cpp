#include "judge.hpp"

#include <algorithm>
#include <utility>

#include "core/bytes.hpp"

namespace nfsteer::micro {
namespace {

constexpr std::uint32_t kFlows = 100'000;

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

benchmark::UserCounters judged(const BuildPolicy& build, std::uint32_t count) {
  const Pool pool(count);
  const auto before = placed(*build(pool.input()), pool);
  Pool less(count);
  less.backends[0].weight = 0;
  const auto after = placed(*build(less.input()), less);
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

}  // namespace

Pool::Pool(std::uint32_t count)
    : backends(micro::backends(core::Family::ipv4, count)), states(count), live(count) {
  for (std::uint32_t index = 0; index < count; ++index)
    live[index] = &states[index];
}

std::optional<std::uint32_t> Asker::ask(const policy::Policy& policy) {
  core::store(flow_.source.data(), ++client_);
  ++flow_.source_port;
  core::PickContext context{random_};
  return policy.pick(flow_, context);
}

std::function<benchmark::UserCounters()> judge(BuildPolicy build, std::uint32_t count) {
  const auto known = std::make_shared<std::optional<benchmark::UserCounters>>();
  return [known, build = std::move(build), count] {
    if (count > kJudgedMax) return benchmark::UserCounters{};
    if (!*known) *known = judged(build, count);
    return **known;
  };
}

}  // namespace nfsteer::micro
