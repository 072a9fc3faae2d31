// Policies in Python, as the engine asks them: names as of the built-in ones (policy.cpp).
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "judge.hpp"
#include "plugin/loader.hpp"
#include "registry.hpp"

namespace nfsteer::micro {
namespace {

struct Variant {
  const char* name;
  const char* class_name;  // in python_policies.py
};
constexpr Variant kVariants[] = {{"policy_python_table", "ByTable"},
                                 {"policy_python_refreshed", "Refreshed"},
                                 {"policy_python_per_flow", "PerFlow"}};

BuildPolicy builder_of(const Variant& variant) {
  const core::PolicySpec spec{std::string(NFSTEER_PYTHON_POLICIES ":") + variant.class_name, {}};
  return [spec](const policy::BuildInput& input) {
    auto loaded = plugin::load_policy(spec, input);
    if (!loaded) {
      std::cerr << "nfsteer-micro: " << loaded.error().line() << '\n';
      std::exit(1);
    }
    return *std::move(loaded);
  };
}

}  // namespace

void add_python(const Registry& registry) {
  if (!std::filesystem::exists(NFSTEER_PYTHON_HOST)) {
    std::cerr << "nfsteer-micro: no policies in Python: " << NFSTEER_PYTHON_HOST << " is not there\n";
    return;
  }
  setenv("NFSTEER_PYTHON_HOST", NFSTEER_PYTHON_HOST, 0);
  for (const Variant& variant : kVariants)
    for (const std::uint32_t count : kBackendCounts) {
      const BuildPolicy build = builder_of(variant);
      const auto prepare = [build, count] {
        auto pool = std::make_unique<Pool>(count);
        auto policy = build(pool->input());
        return [pool = std::move(pool), policy = std::move(policy), asker = Asker()]() mutable {
          benchmark::DoNotOptimize(asker.ask(*policy));
        };
      };
      registry.add(std::string(variant.name) + "/" + std::to_string(count), prepare, judge(build, count));
    }
}

}  // namespace nfsteer::micro
