// The control API: HTTP requests to calls of the engine.
//
//   GET  /v1/status                                                    -> Status (control/status.hpp)
//   PUT  /v1/services/{name}/mode                     {"mode": "dnat"}
//   PUT  /v1/services/{name}/backends/{backend}/weight  {"weight": 3}     backend: ADDR, or ADDR:PORT as
//   configured POST /v1/reload                                                    reads the configuration
//   file again
//
// Success is 200 with a JSON object; an error is 4xx or 5xx with {"error": "thing: reason; mend"}.
#pragma once

#include "control/engine.hpp"
#include "control/http_server.hpp"

namespace nfsteer::control {

HttpResponse handle_request(Engine& engine, const HttpRequest& request);

}  // namespace nfsteer::control
