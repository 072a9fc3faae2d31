// What a policy from a file costs: weighted random as the built-in and as a shared object in C of the same
// algorithm (bindings/c/examples/weighted_random.c), bare and guarded as the engine has it; the pick alone,
// and the whole decision that it is part of.
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/bytes.hpp"
#include "core/steering.hpp"
#include "fixtures.hpp"
#include "judge.hpp"
#include "plugin/loader.hpp"
#include "policy/catalogue.hpp"
#include "policy/guarded.hpp"
#include "registry.hpp"

namespace nfsteer::micro {
namespace {

constexpr std::uint64_t kSeed = 0x9d5c2f6a01b3e847;
constexpr std::uint32_t kCounts[] = {2, 1000};
// No pause of this process may count as one of the policy's.
constexpr std::uint64_t kBudget_ns = 1'000'000'000'000;

std::uint64_t clock_ns() noexcept {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count());
}

PolicyPointer builtin(const policy::BuildInput& input) {
  return policy::build({}, input);
}

PolicyPointer in_c(const policy::BuildInput& input) {
  auto loaded = plugin::load_policy({std::string(NFSTEER_EXAMPLES) + "/weighted_random.so", {}}, input);
  if (!loaded) throw std::logic_error(loaded.error().line());
  return *std::move(loaded);
}

PolicyPointer in_c_guarded(const policy::BuildInput& input) {
  return std::make_shared<policy::Guarded>(
      in_c(input), input,
      std::make_shared<policy::GuardRecord>(1, policy::GuardLimits{kBudget_ns, clock_ns}));
}

struct Kind {
  const char* name;
  PolicyPointer (*make)(const policy::BuildInput& input);
};
constexpr Kind kKinds[] = {{"builtin", builtin}, {"c", in_c}, {"c_guarded", in_c_guarded}};

// The fixture's first service with a policy of `kind`.
core::Snapshot steered_by(const Kind& kind, std::uint32_t count) {
  const core::Snapshot usual = snapshot(core::Mode::connection, count);
  core::SteeredService steered = usual.services().front();
  steered.picker = kind.make({steered.service.backends});
  std::vector<core::SteeredService> services;
  services.push_back(std::move(steered));
  return core::Snapshot(std::move(services));
}

// Packet in, verdict out: parse, find the service, hash, ask the cache, pick, count, rewrite.
class Decision {
 public:
  Decision(const Kind& kind, std::uint32_t count)
      : snapshot_(steered_by(kind, count)), syn_(sample("TCP SYN")) {
    counters_.backends.grow(slots(count));
    counters_.services.grow(2);
    port_at_ = parsed(syn_).l4_offset;
  }

  core::Verdict of_new_flow() {
    packet_ = syn_;
    core::store_be16(packet_.data() + port_at_, static_cast<std::uint16_t>(++flows_));
    // When every port has been used, the cache has forgotten them all.
    const std::uint32_t now_s = (flows_ >> 16) * (core::Steering::kPinned_s + 1);
    return steering_.steer(snapshot_, core::QueueGroup::first,
                           {packet_, static_cast<std::uint32_t>(packet_.size()), false}, now_s);
  }

 private:
  core::Snapshot snapshot_;
  const Bytes syn_;
  Bytes packet_;
  std::size_t port_at_ = 0;
  std::uint32_t flows_ = 0;
  core::WorkerCounters counters_;
  core::Steering steering_{core::Random(1), kSeed, counters_};
};

}  // namespace

void add_plugins(const Registry& registry) {
  for (const Kind& kind : kKinds) {
    for (const std::uint32_t count : kCounts) {
      const std::string name = std::string(kind.name) + "/" + std::to_string(count);
      registry.add(
          "policy_plugin_pick/" + name,
          [kind, count] {
            const auto to = backends(core::Family::ipv4, count);
            return [picker = kind.make({to}), random = core::Random(1),
                    flow = parsed(sample("TCP SYN")).flow]() mutable {
              ++flow.source_port;
              core::PickContext context{random};
              benchmark::DoNotOptimize(picker->pick(flow, context));
            };
          },
          judge(kind.make, count));
      registry.add("policy_plugin_decision/" + name, [kind, count] {
        auto decision = std::make_unique<Decision>(kind, count);
        if (decision->of_new_flow() != core::Verdict::accept_rewritten)
          throw std::logic_error("a packet that is not steered as it should be");
        return [decision = std::move(decision)] { benchmark::DoNotOptimize(decision->of_new_flow()); };
      });
    }
  }
}

}  // namespace nfsteer::micro
