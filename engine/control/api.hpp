// The control API: HTTP requests to calls of the engine. What there is, by resource:
//
//   GET    /v1/status                               Status (control/status.hpp)
//   GET    /v1/services                             {"revision", "services"}: as configured, in a file's
//   fields POST   /v1/services                             a service                              -> 201 GET
//   /v1/services/{name} PUT    /v1/services/{name}                      a whole service, new or in the place
//   of that one PATCH  /v1/services/{name}                      the fields that change DELETE
//   /v1/services/{name} POST   /v1/services/{name}/backends             a backend -> 201 GET
//   /v1/services/{name}/backends/{backend}   {backend}: ADDR, or ADDR:PORT ([ADDR]:PORT for IPv6) PATCH
//   /v1/services/{name}/backends/{backend}   the fields that change DELETE
//   /v1/services/{name}/backends/{backend} POST   /v1/reload                               reads the file
//   again; {"changes": [text]}
//
// Names in a path may be percent-encoded. Every answer is a JSON object. A change answers {"revision": n},
// and n stands in the ETag of every answer about services; with If-Match a change is made only if that is
// still the revision (412 otherwise), so that two writers cannot undo each other unseen.
//
// Errors: {"error": "thing: reason; mend"}, and "field" where one field of the body is at fault. 400: the
// request; 404: no such resource; 405; 409: the name is taken; 412; 413; 500: the kernel's or the machine's
// part. A change that fails changes nothing.
#pragma once

#include "control/engine.hpp"
#include "control/http_server.hpp"

namespace nfsteer::control {

HttpResponse handle_request(Engine& engine, const HttpRequest& request);

}  // namespace nfsteer::control
