// The control API: HTTP requests to calls of the engine. What there is, by resource:
//
//   GET    /v1/status                    Status (control/status.hpp)
//   GET    /v1/metrics, /metrics         the same for Prometheus, as text (api/metrics.hpp)
//   GET    /v1/policies                  the catalogue of policies (api/policies.hpp)
//   GET    /v1/explain?QUERY             what becomes of a connection (api/explain.hpp)
//   GET    /v1/services                  {"revision", "services"}: as configured, in a file's fields
//   POST   /v1/services                  a service -> 201
//   GET    /v1/services/S
//   PUT    /v1/services/S                a whole service, new or in the place of that one
//   PATCH  /v1/services/S                the fields that change
//   DELETE /v1/services/S
//   GET    /v1/services/S/status         ServiceStatus: counters, states, health
//   POST   /v1/services/S/backends       a backend -> 201
//   GET    /v1/services/S/backends/B
//   PATCH  /v1/services/S/backends/B     the fields that change
//   DELETE /v1/services/S/backends/B
//   GET    /v1/services/S/backends/B/status
//   POST   /v1/reload                    reads the file again; {"revision", "changes": [text]}
//
// S is a service's name; B is ADDR, or ADDR:PORT ([ADDR]:PORT for IPv6) where several share the address.
// Names in a path may be percent-encoded. Every answer but the metrics is a JSON object. A change answers
// {"revision": n}, and n stands in the ETag of every answer about services; with If-Match a change is made
// only if that is still the revision (412 otherwise), so that two writers cannot undo each other unseen.
//
// Errors: {"error": "thing: reason; mend"}, and "field" where one field of the body is at fault. 400: the
// request; 404: no such resource; 405: the method, or any but GET of a read-only request; 409: the name is
// taken; 412; 413: the body is too large; 431: the header is; 500: the kernel's or the machine's part. A
// change that fails changes nothing.
// Errors: {"error": "thing: reason; mend"}, and "field" where one field of the body, or of a query, is at
// fault. 400: the request; 404: no such resource; 405; 409: the name is taken; 412; 413; 500: the kernel's or
// the machine's part. A change that fails changes nothing.
#pragma once

#include "api/http_server.hpp"
#include "control/engine.hpp"

namespace nfsteer::api {

HttpResponse handle_request(control::Engine& engine, const HttpRequest& request);

}  // namespace nfsteer::api
