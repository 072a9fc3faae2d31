#include "plan/ladder.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <span>
#include <vector>

#include "plan/affinity.hpp"
#include "plan/service_rules.hpp"

namespace nfsteer::rules {

namespace {

using Backends = std::span<const core::Backend>;

std::uint64_t weight_of(Backends backends) {
  return std::accumulate(
      backends.begin(), backends.end(), std::uint64_t{0},
      [](std::uint64_t sum, const core::Backend& backend) { return sum + backend.weight; });
}

class LadderBuilder {
 public:
  LadderBuilder(const core::Service& service, ChainNames& names, std::map<std::string, Chain>& chains)
      : service_(service), names_(names), chains_(chains) {}

  // `first` is the place of `backends` among all usable ones: together with the count it names the chain.
  std::string add(Backends backends, std::size_t first) {
    std::string name = names_.make(service_.name, "ladder " + service_.name + ' ' + std::to_string(first) +
                                                      ' ' + std::to_string(backends.size()));
    Chain chain;
    std::uint64_t rest = weight_of(backends);
    const std::size_t choices = std::min(backends.size(), kLadderWidth);
    for (std::size_t i = 0; i < choices; ++i) {
      const std::size_t begin = backends.size() * i / choices;
      const std::size_t end = backends.size() * (i + 1) / choices;
      const Backends below = backends.subspan(begin, end - begin);
      Rule rule;
      if (below.size() == 1) {
        rule = dnat_rule(service_, below.front());
      } else {
        rule.target = Goto{add(below, first + begin)};
      }
      const std::uint64_t weight = weight_of(below);
      if (i + 1 < choices) rule.matches.emplace_back(Statistic{probability(weight, rest)});
      // Behind the choice, so that only who is chosen is entered.
      if (below.size() == 1 && service_.affinity) add_affinity_entry(service_, below.front(), rule);
      rest -= weight;
      chain.push_back(std::move(rule));
    }
    chains_.emplace(name, std::move(chain));
    return name;
  }

 private:
  const core::Service& service_;
  ChainNames& names_;
  std::map<std::string, Chain>& chains_;
};

}  // namespace

std::uint32_t probability(std::uint64_t part, std::uint64_t whole) {
  assert(part > 0 && part < whole && whole < (std::uint64_t{1} << 32));
  const std::uint64_t nearest = (part * Statistic::kOne + whole / 2) / whole;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(nearest, 1, Statistic::kOne - 1));
}

std::string add_ladder(const core::Service& service, ChainNames& names,
                       std::map<std::string, Chain>& chains) {
  std::vector<core::Backend> usable;
  std::copy_if(service.backends.begin(), service.backends.end(), std::back_inserter(usable),
               [](const core::Backend& backend) { return backend.weight > 0; });
  assert(!usable.empty());
  return LadderBuilder(service, names, chains).add(usable, 0);
}

}  // namespace nfsteer::rules
