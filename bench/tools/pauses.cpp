// How much of each CPU's time others take: one thread on each does nothing but read the clock. What
// interrupts it (a hypervisor that runs another guest, a kernel thread) interrupts a packet as well, so
// latencies beyond the longest pause say more about the machine than about a path.
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "tool.hpp"

namespace {

using namespace nfsteer::bench;

// Shorter ones are interrupts and the like, which every path has to live with.
constexpr double kPauseMin_s = 300e-6;

struct Pauses {
  std::uint64_t count = 0;
  double longest_s = 0, total_s = 0;
};

Pauses watch(int cpu, double seconds, std::atomic<int>& missing) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0)
    die_plainly(fmt::format("cannot use CPU {}", cpu));
  --missing;
  while (missing > 0) {
  }
  Pauses found;
  const auto begin = Clock::now();
  for (auto before = begin; seconds_between(begin, before) < seconds;) {
    const auto now = Clock::now();
    const double passed = seconds_between(before, now);
    before = now;
    if (passed < kPauseMin_s) continue;
    ++found.count;
    found.total_s += passed;
    found.longest_s = std::max(found.longest_s, passed);
  }
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 2;
  CLI::App app("Watches how often and how long the CPUs are taken away");
  app.add_option("--seconds", seconds, "how long to watch");
  CLI11_PARSE(app, argc, argv);

  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) die("CPUs");
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);

  std::vector<Pauses> each(cpus.size());
  std::atomic<int> missing = static_cast<int>(cpus.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < cpus.size(); ++i)
    threads.emplace_back([&, i] { each[i] = watch(cpus[i], seconds, missing); });
  Pauses all;
  for (std::size_t i = 0; i < cpus.size(); ++i) {
    threads[i].join();
    all.count += each[i].count;
    all.total_s += each[i].total_s;
    all.longest_s = std::max(all.longest_s, each[i].longest_s);
  }
  fmt::print("{{\"seconds\": {}, \"count\": {}, \"longest_ms\": {:.2f}, \"share\": {:.5f}}}\n", seconds,
             all.count, all.longest_s * 1e3, all.total_s / (seconds * static_cast<double>(cpus.size())));
}
