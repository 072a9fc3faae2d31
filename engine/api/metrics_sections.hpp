// The parts of metrics_text() that have a source file of their own.
#pragma once

#include <iosfwd>

#include "control/status.hpp"

namespace nfsteer::api {

void write_service_metrics(std::ostream& out, const control::Status& status);
void write_worker_metrics(std::ostream& out, const control::Status& status);

}  // namespace nfsteer::api
