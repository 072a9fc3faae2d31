// The status of an engine for people.
#pragma once

#include <string>

#include <boost/json/value.hpp>

#include "core/result.hpp"

namespace nfsteer::cli {

// `status` is what GET /v1/status answered. An error if it lacks what the text needs: another version's
// engine.
core::Result<std::string> status_text(const boost::json::value& status);

}  // namespace nfsteer::cli
