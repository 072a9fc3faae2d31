// How well a policy shares, beside how fast it is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/random.hpp"
#include "fixtures.hpp"
#include "policy/policy.hpp"

namespace nfsteer::micro {

using PolicyPointer = std::shared_ptr<const policy::Policy>;
using BuildPolicy = std::function<PolicyPointer(const policy::BuildInput& input)>;

// Policies that look at all backends would take minutes to judge beyond so many.
inline constexpr std::uint32_t kJudgedMax = 1000;

// Backends with live state, as the engine has them.
struct Pool {
  std::vector<core::Backend> backends;
  std::vector<core::LiveBackend> states;
  std::vector<core::LiveBackend*> live;

  explicit Pool(std::uint32_t count);
  policy::BuildInput input() const { return {backends, live}; }
};

// Asks for one flow per call, each of another client.
class Asker {
 public:
  std::optional<std::uint32_t> ask(const policy::Policy& policy);

 private:
  core::Random random_{1};
  core::FlowKey flow_ = parsed(sample("TCP SYN")).flow;
  std::uint32_t client_ = 0;
};

// For Registry::add(). `imbalance`: the most flows of any backend over its share by weight. `disruption`:
// flows that go elsewhere once the first backend has left, over those that must: its own. A benchmark runs
// several times until it knows how often to iterate; this is worked out once.
std::function<benchmark::UserCounters()> judge(BuildPolicy build, std::uint32_t count);

}  // namespace nfsteer::micro
