// Changes to a list of services: as raw values, so that the one validator decides about the outcome, whoever
// asked for it. Nothing of the services themselves changes here.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/raw.hpp"
#include "core/result.hpp"
#include "core/service.hpp"

namespace nfsteer::config {

// The services as a list of maps. Errors call them by their names: "service web".
RawValue raw_from(const std::vector<core::Service>& services);

// Of raw_from()'s list: the map of that name, or null; the backend of a service's map, by ADDR, or by
// ADDR:PORT ([ADDR]:PORT for IPv6) where several share the address.
RawValue* find_service(RawValue& services, std::string_view name);
core::Result<RawValue*> find_backend(RawValue& service, std::string_view backend);

// The fields of `patch`, a map, replace those of the same name in `map`, or join it; one without a value
// (JSON's null) takes its namesake out, so that the default is back (RFC 7396). No deeper: a map replaces a
// map.
void merge(RawValue& map, const RawValue& patch);

// Takes a child out of a list or map.
void erase(RawValue& from, const RawValue& child);

// What validate() says of a document's services.
core::Result<std::vector<core::Service>> validate_services(const RawValue& list);

}  // namespace nfsteer::config
