// The resources of the control API that are services and backends. See api/routes.hpp for what each does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/http_server.hpp"
#include "control/engine.hpp"

namespace nfsteer::api {

struct ApiCall {
  control::Engine& engine;
  const HttpRequest& request;
  const std::vector<std::string>& names;  // of the path: service, backend
};

HttpResponse failure(unsigned status, std::string_view text);
HttpResponse failure_of(const core::Error& error);

HttpResponse get_services(const ApiCall& call);
HttpResponse post_service(const ApiCall& call);
HttpResponse get_service(const ApiCall& call);
HttpResponse get_service_status(const ApiCall& call);
HttpResponse put_service(const ApiCall& call);
HttpResponse patch_service(const ApiCall& call);
HttpResponse delete_service(const ApiCall& call);
HttpResponse post_backend(const ApiCall& call);
HttpResponse get_backend(const ApiCall& call);
HttpResponse get_backend_status(const ApiCall& call);
HttpResponse patch_backend(const ApiCall& call);
HttpResponse delete_backend(const ApiCall& call);

}  // namespace nfsteer::api
