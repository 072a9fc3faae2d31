// What this process takes of the machine, from /proc/self (proc(5)), for the metrics every Prometheus client
// library exports as process_*.
#pragma once

#include <optional>
#include <string_view>

namespace nfsteer::api {

// A value is missing where its file cannot be read.
struct ProcessUsage {
  std::optional<double> cpu_s;  // user and system time of all threads
  std::optional<double> resident_bytes;
  std::optional<double> virtual_bytes;
  std::optional<double> started_s;  // since the epoch
  std::optional<double> open_fds;
  std::optional<double> open_fds_max;
};

struct ProcUnits {
  double ticks_per_s = 100;  // sysconf(_SC_CLK_TCK)
  double page_bytes = 4096;
};

// `stat` is /proc/self/stat; `system_stat` is /proc/stat, which says when the machine was booted. What is not
// the kernel's form leaves values missing.
ProcessUsage parse_process_usage(std::string_view stat, std::string_view system_stat, const ProcUnits& units);

ProcessUsage read_process_usage();

}  // namespace nfsteer::api
