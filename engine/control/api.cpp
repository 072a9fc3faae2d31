#include "control/api.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace nfsteer::control {
namespace {

namespace json = boost::json;

HttpResponse failure(unsigned status, std::string_view text) {
  return {status, json::serialize(json::object{{"error", text}})};
}

HttpResponse outcome(const core::Result<void>& result) {
  if (result) return {200, "{}"};
  return failure(result.error().fault == core::Fault::usage ? 400 : 500, result.error().line());
}

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

// The one field that a PUT's body consists of.
std::optional<json::value> only_field(const std::string& body, std::string_view name) {
  boost::system::error_code error;
  json::parse_options limits;
  limits.max_depth = 4;
  const json::value value = json::parse(body, error, {}, limits);
  if (error || !value.is_object() || value.get_object().size() != 1) return std::nullopt;
  const json::value* field = value.get_object().if_contains(name);
  return field == nullptr ? std::nullopt : std::optional(*field);
}

HttpResponse put_mode(Engine& engine, std::string_view service, const std::string& body) {
  const auto field = only_field(body, "mode");
  const auto* text = field ? field->if_string() : nullptr;
  if (text == nullptr)
    return failure(400, R"(body: not an object with a "mode"; send {"mode": "connection"})");
  const auto mode = core::parse_mode(*text);
  if (!mode)
    return failure(
        400, "mode: \"" + std::string(*text) + "\" is unknown; use dnat, connection, inspect or rewrite");
  return outcome(engine.set_mode(service, *mode));
}

HttpResponse put_weight(Engine& engine, std::string_view service, std::string_view backend,
                        const std::string& body) {
  const auto field = only_field(body, "weight");
  const auto* number = field ? field->if_int64() : nullptr;
  if (number == nullptr || *number < 0 || *number > core::kWeightMax)
    return failure(400, "weight: not a whole number from 0 to 65535; send {\"weight\": 3}");
  return outcome(engine.set_weight(service, backend, static_cast<std::uint32_t>(*number)));
}

}  // namespace

HttpResponse handle_request(Engine& engine, const HttpRequest& request) {
  const auto path = segments_of(request.target);
  const bool versioned = !path.empty() && path[0] == "v1";
  const std::size_t depth = path.size();

  std::string_view allowed;
  if (versioned && depth == 2 && path[1] == "status") {
    if (request.method == "GET") return {200, json::serialize(to_json(engine.status()))};
    allowed = "GET";
  } else if (versioned && depth == 2 && path[1] == "reload") {
    if (request.method == "POST") return outcome(engine.reload());
    allowed = "POST";
  } else if (versioned && depth == 4 && path[1] == "services" && path[3] == "mode") {
    if (request.method == "PUT") return put_mode(engine, path[2], request.body);
    allowed = "PUT";
  } else if (versioned && depth == 6 && path[1] == "services" && path[3] == "backends" &&
             path[5] == "weight") {
    if (request.method == "PUT") return put_weight(engine, path[2], path[4], request.body);
    allowed = "PUT";
  } else {
    return failure(404, request.target + ": no such resource; see GET /v1/status");
  }
  return failure(405, request.target + ": takes " + std::string(allowed) + ", not " + request.method);
}

}  // namespace nfsteer::control
