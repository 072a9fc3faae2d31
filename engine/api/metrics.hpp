// The engine's status in Prometheus' text format 0.0.4, for GET /metrics
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
//
// Names begin with nfsteer_, or process_ for what every program exports; units are seconds and bytes;
// counters end in _total and start at zero with the engine. Labels:
//
//   service, backend   the service's name; "10.0.0.20:80", without a port where it is the one asked for
//   worker, queue      numbers from 0; the kernel's queue number
//   the others         name the values of one family: state, result, direction, verdict, reason, group
//
// Every family stands there with HELP and TYPE, also while there is nothing to count.
#pragma once

#include <string>
#include <string_view>

#include "api/process_usage.hpp"
#include "control/status.hpp"

namespace nfsteer::api {

inline constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

std::string metrics_text(const control::Status& status, const ProcessUsage& process);

}  // namespace nfsteer::api
