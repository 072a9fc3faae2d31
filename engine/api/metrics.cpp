#include "api/metrics.hpp"

#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "api/metric_writer.hpp"
#include "api/metrics_sections.hpp"
#include "control/version.hpp"

namespace nfsteer::api {
namespace {

using control::Status;

void write_conntrack(std::ostream& out, const Status& status) {
  using It = const control::ConntrackStatus&;
  using Table = control::ConntrackStatus;
  const std::vector<Labelled<Table>> table{{{}, &status.conntrack}};
  write_families<Table>(
      out,
      {gauge<Table>("nfsteer_conntrack_followed", "1 while connections are counted.",
                    [](It it) { return metric_value(it.followed); }),
       counter<Table>("nfsteer_conntrack_events_total", "Events heard of connections.",
                      [](It it) { return metric_value(it.events); }),
       counter<Table>("nfsteer_conntrack_overflows_total", "Times that events were lost.",
                      [](It it) { return metric_value(it.overflows); }),
       counter<Table>("nfsteer_conntrack_readings_total",
                      "Readings of the whole table: one at the start, one after each loss of events.",
                      [](It it) { return metric_value(it.readings); })},
      table);
  write_families<Table>(out,
                        {gauge<Table>("nfsteer_conntrack_entries",
                                      "Entries of this network namespace's table, whoever made them.",
                                      [](It it) { return metric_value(it.entries); }),
                         gauge<Table>("nfsteer_conntrack_entries_max", "Entries that the table may hold.",
                                      [](It it) { return metric_value(it.entries_max); })},
                        status.conntrack.entries_max == 0 ? std::vector<Labelled<Table>>{} : table);
}

void write_engine(std::ostream& out, const Status& status) {
  using It = const Status&;
  write_families<Status>(
      out, {gauge<Status>("nfsteer_build_info", "The engine's version; always 1.", [](It) { return 1.0; })},
      {{{{"version", std::string(control::kVersion)}}, &status}});
  write_families<Status>(
      out,
      {gauge<Status>("nfsteer_uptime_seconds", "Time since the engine's start.",
                     [](It it) { return it.uptime_s; }),
       gauge<Status>("nfsteer_configuration_revision", "Number of the configuration that holds.",
                     [](It it) { return metric_value(it.revision); }),
       {"nfsteer_reloads_total",
        "Readings of the configuration file while running.",
        MetricType::Counter,
        "result",
        {{"success", [](It it) { return metric_value(it.reloads.succeeded); }},
         {"failure", [](It it) { return metric_value(it.reloads.failed); }}}},
       counter<Status>("nfsteer_rule_commits_total", "Tables of rules given to the kernel.",
                       [](It it) { return metric_value(it.rule_commits); }),
       counter<Status>("nfsteer_rule_errors_total", "Changes that the kernel's rules would not take.",
                       [](It it) { return metric_value(it.rule_errors); }),
       counter<Status>("nfsteer_rule_repairs_total",
                       "Tables of rules put right after others had changed them.",
                       [](It it) { return metric_value(it.rule_repairs); })},
      {{{}, &status}});
  const bool reloaded = status.reloads.last_success_s != 0;
  write_families<Status>(
      out,
      {gauge<Status>("nfsteer_last_reload_success_timestamp_seconds",
                     "When the configuration file was last read with success, since the epoch.",
                     [](It it) { return it.reloads.last_success_s; })},
      reloaded ? std::vector<Labelled<Status>>{{{}, &status}} : std::vector<Labelled<Status>>{});
}

void write_process(std::ostream& out, const ProcessUsage& process) {
  const auto write = [&](const char* name, const char* help, MetricType type,
                         const std::optional<double>& value) {
    if (!value) return;
    write_families<double>(out, {{name, help, type, nullptr, {{{}, [](const double& it) { return it; }}}}},
                           {{{}, &*value}});
  };
  write("process_cpu_seconds_total", "User and system time.", MetricType::Counter, process.cpu_s);
  write("process_resident_memory_bytes", "Memory in use.", MetricType::Gauge, process.resident_bytes);
  write("process_virtual_memory_bytes", "Address space in use.", MetricType::Gauge, process.virtual_bytes);
  write("process_start_time_seconds", "When the process was started, since the epoch.", MetricType::Gauge,
        process.started_s);
  write("process_open_fds", "Open file descriptors.", MetricType::Gauge, process.open_fds);
  write("process_max_fds", "File descriptors that may be open.", MetricType::Gauge, process.open_fds_max);
}

}  // namespace

std::string metrics_text(const Status& status, const ProcessUsage& process) {
  std::ostringstream out;
  write_engine(out, status);
  write_service_metrics(out, status);
  write_worker_metrics(out, status);
  write_conntrack(out, status);
  write_process(out, process);
  return std::move(out).str();
}

}  // namespace nfsteer::api
