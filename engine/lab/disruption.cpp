#include "lab/disruption.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "lab/workload.hpp"

namespace nfsteer::lab {
namespace {

constexpr std::uint64_t kProbeStream = 21, kOrderStream = 22, kChanceStream = 23;
constexpr ServerNumber kNobody = std::numeric_limits<ServerNumber>::max();

std::map<ServerNumber, double> shares_of(const Members& members) {
  std::map<ServerNumber, double> shares;
  const auto sum = static_cast<double>(members.weight());
  for (std::size_t i = 0; i < members.numbers.size(); ++i)
    if (members.backends[i].weight > 0) shares[members.numbers[i]] = members.backends[i].weight / sum;
  return shares;
}

}  // namespace

double least_moved(const Members& before, const Members& after) {
  const auto then = shares_of(before);
  const auto now = shares_of(after);
  double lost = 0;
  for (const auto& [number, share] : then) {
    const auto kept = now.find(number);
    lost += std::max(0.0, share - (kept == now.end() ? 0 : kept->second));
  }
  return lost;
}

Probes::Probes(const Scenario& scenario) : seed_(scenario.seed), second_order_(scenario.probes) {
  const Clients clients(scenario);
  core::Random random(seed_, kProbeStream);
  for (std::uint32_t i = 0; i < scenario.probes; ++i)
    flows_.push_back(clients.next_uniform(random));
  std::iota(second_order_.begin(), second_order_.end(), 0U);
  core::Random order(seed_, kOrderStream);
  for (std::size_t left = second_order_.size(); left > 1; --left)
    std::swap(second_order_[left - 1], second_order_[((order.next() >> 32) * left) >> 32]);
}

core::Result<std::vector<ServerNumber>> Probes::choices(const core::PolicySpec& spec,
                                                        const FileLoader& load_file, const Members& members,
                                                        Nanoseconds now, bool second_time) const {
  const auto policy = build_policy(spec, members.input(), load_file);
  if (!policy) return tl::unexpected(policy.error());
  core::Random random(seed_, kChanceStream);  // which another order gives to other flows
  core::PickContext context{random, now, 0};
  std::vector<ServerNumber> chosen(flows_.size(), kNobody);
  for (std::uint32_t i = 0; i < flows_.size(); ++i) {
    const std::uint32_t probe = second_time ? second_order_[i] : i;
    chosen[probe] = pick_number(**policy, members, flows_[probe], context).value_or(kNobody);
  }
  return chosen;
}

core::Result<Disruption> Probes::measure(const core::PolicySpec& spec, const FileLoader& load_file,
                                         const Members& before, const Members& after, Nanoseconds now) const {
  const auto then = choices(spec, load_file, before, now, false);
  if (!then) return tl::unexpected(then.error());
  const auto later = choices(spec, load_file, after, now, true);
  if (!later) return tl::unexpected(later.error());
  std::uint64_t moved = 0;
  for (std::size_t i = 0; i < flows_.size(); ++i)
    if ((*then)[i] != kNobody && (*then)[i] != (*later)[i]) ++moved;
  return Disruption{static_cast<double>(moved) / static_cast<double>(flows_.size()),
                    least_moved(before, after)};
}

}  // namespace nfsteer::lab
