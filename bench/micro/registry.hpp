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
    add(name, prepare, [] { return benchmark::UserCounters{}; });
  }

  // What takes milliseconds, and would take minutes where instructions are counted: by the clock alone.
  template <typename Prepare>
  void add_slow(const std::string& name, Prepare prepare) const {
    if (iterations_ == 0) add(name, prepare);
  }

  // `judge` returns further figures about what is measured; it is called after the measurement, and not at
  // all where only instructions are counted.
  template <typename Prepare, typename Judge>
  void add(const std::string& name, Prepare prepare, Judge judge) const {
    const bool by_clock = iterations_ == 0;
    const auto run = [name, prepare, judge, by_clock](benchmark::State& state) {
      auto operation = prepare();
      begin_count();
      for ([[maybe_unused]] auto each : state)
        operation();
      end_count(name);
      if (by_clock) state.counters = judge();
    };
    auto* added = benchmark::RegisterBenchmark(name.c_str(), run);
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
void add_plugins(const Registry& registry);
void add_netlink(const Registry& registry);
void add_python(const Registry& registry);  // none where they are not built, and says so
void add_paths(const Registry& registry);
void add_tracking(const Registry& registry);

}  // namespace nfsteer::micro
