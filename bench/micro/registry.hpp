// Registers benchmarks so that both clocks and callgrind can measure them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <benchmark/benchmark.h>

namespace nfsteer::micro {

class Registry {
 public:
  // `iterations`: of each benchmark; 0: as many as fill its time.
  explicit Registry(std::int64_t iterations) : iterations_(iterations) {}

  // `prepare` makes what the benchmark needs and returns the operation that is measured, a callable without
  // arguments. All data comes from fixed seeds, so that each run executes the same instructions.
  template <typename Prepare>
  void add(const std::string& name, Prepare prepare) const {
    auto* added = benchmark::RegisterBenchmark(name.c_str(), [name, prepare](benchmark::State& state) {
      auto operation = prepare();
      begin_count();
      for ([[maybe_unused]] auto each : state)
        operation();
      end_count(name);
    });
    if (iterations_ != 0) added->Iterations(iterations_);
  }

 private:
  // Under callgrind, a dump of its own for what lies between these two; else nothing.
  static void begin_count();
  static void end_count(const std::string& name);

  std::int64_t iterations_;
};

void add_core(const Registry& registry);
void add_policies(const Registry& registry);
void add_netlink(const Registry& registry);
void add_python(const Registry& registry);  // none where they are not built, and says so
void add_paths(const Registry& registry);
void add_tracking(const Registry& registry);

}  // namespace nfsteer::micro
