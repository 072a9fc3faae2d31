#include "api/routes.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "api/explain.hpp"
#include "api/metrics.hpp"
#include "api/percent.hpp"
#include "api/policies.hpp"
#include "api/process_usage.hpp"
#include "api/services.hpp"

namespace nfsteer::api {
namespace {

namespace json = boost::json;

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const auto end = std::min(path.find('/'), path.size());
    segments.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

HttpResponse get_status(const ApiCall& call) {
  return {200, json::serialize(to_json(call.engine.status()))};
}

HttpResponse get_metrics(const ApiCall& call) {
  return {200, metrics_text(call.engine.status(), read_process_usage()), {}, {}, std::string(kMetricsType)};
}

HttpResponse post_reload(const ApiCall& call) {
  const auto changes = call.engine.reload();
  if (!changes) return failure_of(changes.error());
  json::array lines(changes->begin(), changes->end());
  return {200,
          json::serialize(json::object{{"revision", call.engine.revision()}, {"changes", std::move(lines)}})};
}

struct Route {
  std::string_view method;
  std::string_view pattern;  // `*` stands for one name
  HttpResponse (*handle)(const ApiCall& call);
};

constexpr Route kRoutes[] = {
    {"GET", "/v1/status", get_status},
    {"GET", "/v1/metrics", get_metrics},
    {"GET", "/metrics", get_metrics},
    {"GET", "/v1/explain", get_explanation},
    {"GET", "/v1/policies", get_policies},
    {"POST", "/v1/reload", post_reload},
    {"GET", "/v1/services", get_services},
    {"POST", "/v1/services", post_service},
    {"GET", "/v1/services/*", get_service},
    {"PUT", "/v1/services/*", put_service},
    {"PATCH", "/v1/services/*", patch_service},
    {"DELETE", "/v1/services/*", delete_service},
    {"POST", "/v1/services/*/backends", post_backend},
    {"GET", "/v1/services/*/status", get_service_status},
    {"GET", "/v1/services/*/backends/*", get_backend},
    {"GET", "/v1/services/*/backends/*/status", get_backend_status},
    {"PATCH", "/v1/services/*/backends/*", patch_backend},
    {"DELETE", "/v1/services/*/backends/*", delete_backend},
};

// The names that the pattern's stars stand for; nothing if the path is another.
std::optional<std::vector<std::string>> match(std::string_view pattern,
                                              const std::vector<std::string_view>& path) {
  const auto wanted = segments_of(pattern);
  if (wanted.size() != path.size()) return std::nullopt;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (wanted[i] != "*") {
      if (wanted[i] != path[i]) return std::nullopt;
      continue;
    }
    auto name = percent_decoded(path[i]);
    if (!name || name->empty()) return std::nullopt;
    names.push_back(*std::move(name));
  }
  return names;
}

std::string etag_of(const control::Engine& engine) {
  return fmt::format("\"{}\"", engine.revision());
}

}  // namespace

HttpResponse failure(unsigned status, std::string_view text) {
  return {status, json::serialize(json::object{{"error", text}})};
}

HttpResponse failure_of(const core::Error& error) {
  json::object body{{"error", error.line()}};
  if (error.fault == core::Fault::usage && !error.thing.empty()) body["field"] = error.thing;
  return {error.fault == core::Fault::usage ? 400U : 500U, json::serialize(body)};
}

HttpResponse handle_request(control::Engine& engine, const HttpRequest& request) {
  if (request.read_only && request.method != "GET") {
    HttpResponse refusal =
        failure(405, fmt::format("{}: takes only GET at this address; changes go through the control socket",
                                 request.method));
    refusal.allow = "GET";
    return refusal;
  }
  if (request.only_reads && request.method != "GET")
    return failure(
        403,
        fmt::format("{}: user {} may only read here, as neither root nor the engine's user nor a member of "
                    "its control_group; name one of that user's groups there and restart the engine",
                    request.method, *request.only_reads));
  const auto path = segments_of(std::string_view(request.target).substr(0, request.target.find('?')));
  std::string allowed;
  for (const Route& route : kRoutes) {
    const auto names = match(route.pattern, path);
    if (!names) continue;
    if (route.method != request.method) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
      continue;
    }
    const std::string etag = etag_of(engine);
    if (route.method != "GET" && !request.if_match.empty() && request.if_match != "*" &&
        request.if_match != etag) {
      HttpResponse stale =
          failure(412, fmt::format("If-Match: {} is not the revision, {} is; read again, then decide",
                                   request.if_match, etag));
      stale.etag = etag;
      return stale;
    }
    HttpResponse response = route.handle({engine, request, *names});
    response.etag = etag_of(engine);
    return response;
  }
  if (allowed.empty()) return failure(404, request.target + ": no such resource; see GET /v1/services");
  HttpResponse refusal =
      failure(405, fmt::format("{}: takes {}, not {}", request.target, allowed, request.method));
  refusal.allow = std::move(allowed);
  return refusal;
}

}  // namespace nfsteer::api
