// One call of the control API (control/api.hpp) over the engine's unix socket.
#pragma once

#include <string>

#include <boost/json/value.hpp>

#include "core/result.hpp"

namespace nfsteer::cli {

// `body` may be empty. An error answer becomes an Error with the text the engine gave; a 4xx is a usage
// error.
core::Result<boost::json::value> call_api(const std::string& socket_path, const std::string& method,
                                          const std::string& target, const std::string& body = {});

}  // namespace nfsteer::cli
