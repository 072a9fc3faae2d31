#include "api/services.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "config/json_reader.hpp"
#include "config/places.hpp"
#include "config/services_edit.hpp"

namespace nfsteer::api {
namespace {

namespace json = boost::json;
using config::RawValue;

const core::Service* find(const control::Engine& engine, std::string_view name) {
  const auto& services = engine.services();
  const auto found = std::ranges::find(services, name, &core::Service::name);
  return found == services.end() ? nullptr : &*found;
}

HttpResponse no_such_service(std::string_view name) {
  return failure(404, fmt::format("service {}: there is no such service; `nfsteer services` lists them",
                                  config::one_line(name)));
}

HttpResponse changed(const ApiCall& call, const core::Result<void>& outcome, unsigned status = 200) {
  if (!outcome) return failure_of(outcome.error());
  return {status, json::serialize(json::object{{"revision", call.engine.revision()}})};
}

core::Result<RawValue> object_in(const ApiCall& call) {
  auto body = config::read_json(call.request.body);
  if (body && body->kind != RawValue::Kind::map)
    return core::usage_error("body", "is not a JSON object", "send the fields in {}");
  return body;
}

RawValue& backends_of(RawValue& service) {
  return *std::ranges::find(service.children, "backends", &RawValue::name);
}

core::Result<std::size_t> index_of_backend(const core::Service& service, std::string_view backend) {
  RawValue list = config::raw_from({service});
  const auto found = config::find_backend(list.children[0], backend);
  if (!found) return tl::unexpected(found.error());
  return static_cast<std::size_t>(*found - backends_of(list.children[0]).children.data());
}

// What the path's service and, if there is one, backend become; `edit` gets both, and the body's fields.
using Edit = std::function<void(RawValue& list, RawValue& each)>;

HttpResponse edit_service(const ApiCall& call, const Edit& edit) {
  if (find(call.engine, call.names[0]) == nullptr) return no_such_service(call.names[0]);
  return changed(call, call.engine.edit([&](RawValue& services) -> core::Result<void> {
    edit(services, *config::find_service(services, call.names[0]));
    return {};
  }));
}

HttpResponse edit_backend(const ApiCall& call, const Edit& edit) {
  if (find(call.engine, call.names[0]) == nullptr) return no_such_service(call.names[0]);
  std::optional<core::Error> missing;
  const auto outcome = call.engine.edit([&](RawValue& services) -> core::Result<void> {
    RawValue& service = *config::find_service(services, call.names[0]);
    const auto backend = config::find_backend(service, call.names[1]);
    if (!backend) {
      missing = backend.error();
      return tl::unexpected(backend.error());
    }
    edit(backends_of(service), **backend);
    return {};
  });
  return missing ? failure(404, missing->line()) : changed(call, outcome);
}

}  // namespace

HttpResponse get_services(const ApiCall& call) {
  json::array services;
  for (const core::Service& each : call.engine.services())
    services.push_back(config::to_json(each));
  return {200, json::serialize(
                   json::object{{"revision", call.engine.revision()}, {"services", std::move(services)}})};
}

HttpResponse get_service(const ApiCall& call) {
  const core::Service* service = find(call.engine, call.names[0]);
  if (service == nullptr) return no_such_service(call.names[0]);
  return {200, json::serialize(config::to_json(*service))};
}

HttpResponse get_service_status(const ApiCall& call) {
  const core::Service* service = find(call.engine, call.names[0]);
  if (service == nullptr) return no_such_service(call.names[0]);
  const auto index = static_cast<std::size_t>(service - call.engine.services().data());
  return {200, json::serialize(
                   control::to_json(call.engine.service_status(index), call.engine.counts_connections()))};
}

HttpResponse post_service(const ApiCall& call) {
  const auto body = object_in(call);
  if (!body) return failure_of(body.error());
  if (const RawValue* name = body->find("name"); name != nullptr && find(call.engine, name->text) != nullptr)
    return failure(
        409, fmt::format("service {}: there is one already; PUT replaces it, PATCH changes it", name->text));
  return changed(call, call.engine.edit([&](RawValue& services) -> core::Result<void> {
    services.children.push_back(*body);
    return {};
  }),
                 201);
}

HttpResponse put_service(const ApiCall& call) {
  auto body = object_in(call);
  if (!body) return failure_of(body.error());
  const std::string& name = call.names[0];
  if (const RawValue* given = body->find("name"); given == nullptr) {
    RawValue field;
    field.kind = RawValue::Kind::text;
    field.flag = field.name = "name";
    field.text = name;
    body->children.push_back(std::move(field));
  } else if (given->text != name) {
    return failure(400, fmt::format("name: {} is not the path's {}; leave it out, or make them agree",
                                    config::quoted(given->text), config::one_line(name)));
  }
  const bool is_new = find(call.engine, name) == nullptr;
  return changed(call, call.engine.edit([&](RawValue& services) -> core::Result<void> {
    if (is_new) {
      services.children.push_back(*body);
    } else {
      *config::find_service(services, name) = *body;
    }
    return {};
  }),
                 is_new ? 201 : 200);
}

HttpResponse patch_service(const ApiCall& call) {
  const auto body = object_in(call);
  if (!body) return failure_of(body.error());
  return edit_service(call, [&](RawValue&, RawValue& service) { config::merge(service, *body); });
}

HttpResponse delete_service(const ApiCall& call) {
  return edit_service(call, [](RawValue& services, RawValue& service) { config::erase(services, service); });
}

HttpResponse post_backend(const ApiCall& call) {
  const auto body = object_in(call);
  if (!body) return failure_of(body.error());
  HttpResponse response = edit_service(
      call, [&](RawValue&, RawValue& service) { backends_of(service).children.push_back(*body); });
  if (response.status == 200) response.status = 201;
  return response;
}

HttpResponse get_backend(const ApiCall& call) {
  const core::Service* service = find(call.engine, call.names[0]);
  if (service == nullptr) return no_such_service(call.names[0]);
  const auto index = index_of_backend(*service, call.names[1]);
  if (!index) return failure(404, index.error().line());
  const json::value whole = config::to_json(*service);
  return {200, json::serialize(whole.at("backends").at(*index))};
}

HttpResponse get_backend_status(const ApiCall& call) {
  const core::Service* service = find(call.engine, call.names[0]);
  if (service == nullptr) return no_such_service(call.names[0]);
  const auto backend = index_of_backend(*service, call.names[1]);
  if (!backend) return failure(404, backend.error().line());
  const auto index = static_cast<std::size_t>(service - call.engine.services().data());
  return {200, json::serialize(control::to_json(call.engine.service_status(index), *backend,
                                                call.engine.counts_connections()))};
}

HttpResponse patch_backend(const ApiCall& call) {
  const auto body = object_in(call);
  if (!body) return failure_of(body.error());
  return edit_backend(call, [&](RawValue&, RawValue& backend) { config::merge(backend, *body); });
}

HttpResponse delete_backend(const ApiCall& call) {
  return edit_backend(call, [](RawValue& backends, RawValue& backend) { config::erase(backends, backend); });
}

}  // namespace nfsteer::api
