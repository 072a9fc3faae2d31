#include "policy/catalogue.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "policy/least_loaded.hpp"
#include "policy/maglev.hpp"
#include "policy/overflow.hpp"
#include "policy/peak_ewma.hpp"
#include "policy/power_of_two_choices.hpp"
#include "policy/rendezvous.hpp"
#include "policy/ring_hash.hpp"
#include "policy/round_robin.hpp"
#include "policy/weighted_failover.hpp"
#include "policy/weighted_hash.hpp"
#include "policy/weighted_random.hpp"
#include "policy/weighted_round_robin.hpp"

namespace nfsteer::policy {
namespace {

// Of a policy without options.
template <typename T>
std::shared_ptr<const Policy> make(const BuildInput& input, const Options& /*options*/) {
  return std::make_shared<T>(input);
}

std::string_view unless_prime(std::uint64_t value) {
  for (std::uint64_t divisor = 2; divisor * divisor <= value; ++divisor)
    if (value % divisor == 0) return "is no prime number";
  return {};
}

std::string_view unless_above_average(std::uint64_t value) {
  return value > 0 && value <= 100 ? "leaves no room for all connections" : "";
}

constexpr OptionInfo kSeed{.name = "seed",
                           .summary = "of the hash: engines with the same seed agree",
                           .max = std::numeric_limits<std::int64_t>::max()};
constexpr OptionInfo kSourceOnly{
    .name = "source_only", .summary = "1: hash the client's address alone, not the whole flow", .max = 1};
constexpr std::array kHashOptions{kSeed};
constexpr std::array kRendezvousOptions{kSeed, kSourceOnly};
constexpr std::array kMaglevOptions{
    OptionInfo{.name = "table_size",
               .summary = "places of the table, a prime; more than 100 per backend keeps shares within 1 %",
               .min = 3,
               .max = 5'000'011,
               .usual = 65'537,
               .refuse = unless_prime},
    kSeed,
    kSourceOnly,
};
constexpr std::array kRingOptions{
    OptionInfo{.name = "vnodes",
               .summary = "points on the ring per unit of weight",
               .min = 1,
               .max = 65'536,
               .usual = 160},
    OptionInfo{.name = "load_factor",
               .summary = "percent of the average load that a backend may have, above 100; 0: no bound",
               .max = 100'000,
               .refuse = unless_above_average},
    kSeed,
    kSourceOnly,
};
constexpr std::array kOverflowOptions{
    OptionInfo{
        .name = "strict", .summary = "1: when all are full, no backend takes the connection", .max = 1},
};

HashKey hash_key(const Options& options) {
  return {options["seed"], options["source_only"] == 1};
}

std::shared_ptr<const Policy> make_source_hash(const BuildInput& input, const Options& options) {
  return std::make_shared<WeightedHash>(input, HashKey{options["seed"], true});
}

std::shared_ptr<const Policy> make_flow_hash(const BuildInput& input, const Options& options) {
  return std::make_shared<WeightedHash>(input, HashKey{options["seed"], false});
}

std::shared_ptr<const Policy> make_maglev(const BuildInput& input, const Options& options) {
  return std::make_shared<Maglev>(input, static_cast<std::uint32_t>(options["table_size"]),
                                  hash_key(options));
}

std::shared_ptr<const Policy> make_rendezvous(const BuildInput& input, const Options& options) {
  return std::make_shared<Rendezvous>(input, hash_key(options));
}

std::shared_ptr<const Policy> make_ring_hash(const BuildInput& input, const Options& options) {
  const RingHash::Settings settings{static_cast<std::uint32_t>(options["vnodes"]),
                                    static_cast<std::uint32_t>(options["load_factor"]), hash_key(options)};
  return std::make_shared<RingHash>(input, settings);
}

std::shared_ptr<const Policy> make_overflow(const BuildInput& input, const Options& options) {
  return std::make_shared<Overflow>(input, options["strict"] == 1);
}

constexpr Contract kByLoad{.proportional = true, .uses_live = true};
constexpr Contract kConsistent{
    .proportional = true, .by_flow = true, .order_independent = true, .minimal_disruption = true};

constexpr std::array kCatalogue{
    PolicyInfo{
        .name = "weighted-random",
        .alias = "",
        .summary = "each new connection by chance, as the weights say; needs to know nothing, O(1)",
        .contract = {.proportional = true},
        .options = {},
        .build = make<WeightedRandom>,
    },
    PolicyInfo{
        .name = "round-robin",
        .alias = "rr",
        .summary = "each backend in turn, whatever its weight; O(1)",
        .contract = {},
        .options = {},
        .build = make<RoundRobin>,
    },
    PolicyInfo{
        .name = "weighted-round-robin",
        .alias = "wrr",
        .summary = "in turns as the weights say, evenly spread and exact over a period; O(1)",
        .contract = {.proportional = true},
        .options = {},
        .build = make<WeightedRoundRobin>,
    },
    PolicyInfo{
        .name = "least-connections",
        .alias = "lc",
        .summary = "the fewest connections, whatever the weight; looks at all backends",
        .contract = {.uses_live = true},
        .options = {},
        .build = make<LeastConnections>,
    },
    PolicyInfo{
        .name = "weighted-least-connections",
        .alias = "wlc",
        .summary = "the fewest connections for its weight; looks at all backends",
        .contract = kByLoad,
        .options = {},
        .build = make<WeightedLeastConnections>,
    },
    PolicyInfo{
        .name = "shortest-expected-delay",
        .alias = "sed",
        .summary = "the shortest wait if weight is speed; looks at all backends",
        .contract = kByLoad,
        .options = {},
        .build = make<ShortestExpectedDelay>,
    },
    PolicyInfo{
        .name = "never-queue",
        .alias = "nq",
        .summary = "an idle backend if there is one, else the shortest expected delay; looks at all",
        .contract = kByLoad,
        .options = {},
        .build = make<NeverQueue>,
    },
    PolicyInfo{
        .name = "power-of-two-choices",
        .alias = "twos",
        .summary = "of two drawn by weight, the one with fewer connections for its weight; O(1)",
        .contract = kByLoad,
        .options = {},
        .build = make<PowerOfTwoChoices>,
    },
    PolicyInfo{
        .name = "source-hash",
        .alias = "sh",
        .summary = "each client at one backend until the backends change; O(1)",
        .contract = {.proportional = true, .by_flow = true, .order_independent = true},
        .options = kHashOptions,
        .build = make_source_hash,
    },
    PolicyInfo{
        .name = "flow-hash",
        .alias = "",
        .summary = "each flow at one backend until the backends change; O(1)",
        .contract = {.proportional = true, .by_flow = true, .order_independent = true},
        .options = kHashOptions,
        .build = make_flow_hash,
    },
    PolicyInfo{
        .name = "maglev",
        .alias = "mh",
        .summary = "consistent by a table: even shares, few flows move when backends change; O(1)",
        .contract = kConsistent,
        .options = kMaglevOptions,
        .build = make_maglev,
    },
    PolicyInfo{
        .name = "rendezvous",
        .alias = "",
        .summary = "consistent: exact shares, no flow moves that need not; looks at all backends",
        .contract = kConsistent,
        .options = kRendezvousOptions,
        .build = make_rendezvous,
    },
    PolicyInfo{
        .name = "ring-hash",
        .alias = "",
        .summary = "consistent by points on a ring, if wanted with bounded loads; O(1)",
        .contract = kConsistent,
        .options = kRingOptions,
        .build = make_ring_hash,
    },
    PolicyInfo{
        .name = "weighted-failover",
        .alias = "fo",
        .summary = "everything to the highest weight that is usable; O(1)",
        .contract = {.by_flow = true, .order_independent = true},
        .options = {},
        .build = make<WeightedFailover>,
    },
    PolicyInfo{
        .name = "overflow",
        .alias = "ovf",
        .summary = "the highest weight until it has as many connections as that, then the next",
        .contract = {.order_independent = true, .uses_live = true},
        .options = kOverflowOptions,
        .build = make_overflow,
    },
    PolicyInfo{
        .name = "peak-ewma",
        .alias = "",
        .summary = "of two drawn by weight, the lower latency times connections; O(1)",
        .contract = kByLoad,
        .options = {},
        .build = make<PeakEwma>,
    },
};

}  // namespace

std::span<const PolicyInfo> catalogue() {
  return kCatalogue;
}

const PolicyInfo* find(std::string_view name) {
  const auto row = std::ranges::find_if(kCatalogue, [&](const PolicyInfo& each) {
    return each.name == name || (!each.alias.empty() && each.alias == name);
  });
  return row == kCatalogue.end() ? nullptr : &*row;
}

tl::expected<core::PolicySpec, SpecError> check(core::PolicySpec spec) {
  if (core::is_policy_file(spec.name)) return spec;
  const PolicyInfo* info = find(spec.name);
  if (info == nullptr)
    return tl::unexpected(
        SpecError{{},
                  fmt::format("\"{}\" is unknown", spec.name),
                  "`nfsteer policy list` names the policies; a file is PATH.so or PATH.py:CLASS"});
  spec.name = info->name;
  if (auto checked = check_options(info->options, spec); !checked) return tl::unexpected(checked.error());
  return spec;
}

std::shared_ptr<const Policy> build(const core::PolicySpec& spec, const BuildInput& input) {
  const PolicyInfo* info = find(spec.name);
  return info == nullptr ? nullptr : info->build(input, Options(info->options, spec));
}

}  // namespace nfsteer::policy
