// nfsteer-micro [--iterations=N] [--benchmark_... OPTION]...: what the engine does in memory, by Google
// Benchmark.
//
// --iterations=N runs every benchmark N times instead of for a time: for count.py, which counts instructions.
#include <charconv>
#include <cstdint>
#include <iostream>
#include <string_view>

#include "registry.hpp"

namespace {

constexpr std::string_view kIterations = "--iterations=";

// 0 if the text is no positive number.
std::int64_t positive(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value > 0 ? value : 0;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  std::int64_t iterations = 0;
  for (int index = 1; index < argc; ++index) {
    const std::string_view argument = argv[index];
    if (argument.starts_with(kIterations)) iterations = positive(argument.substr(kIterations.size()));
    if (iterations == 0) {
      std::cerr << "nfsteer-micro: " << argument << ": not known; use " << kIterations
                << "N, N > 0, or the options of Google Benchmark\n";
      return 2;
    }
  }
#ifndef __OPTIMIZE__
  std::cerr << "nfsteer-micro: built without optimisation, these figures mislead; use the release preset\n";
#endif
  const nfsteer::micro::Registry registry(iterations);
  add_core(registry);
  add_policies(registry);
  add_plugins(registry);
  add_python(registry);
  add_netlink(registry);
  add_paths(registry);
  add_tracking(registry);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
