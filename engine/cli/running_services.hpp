// The services of a running engine, as its API tells them.
#pragma once

#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "core/result.hpp"
#include "core/service.hpp"

namespace nfsteer::cli {

core::Result<std::vector<core::Service>> running_services(const std::string& control);
// Of the answer to GET /v1/services.
core::Result<std::vector<core::Service>> services_in(const boost::json::value& answer);

}  // namespace nfsteer::cli
