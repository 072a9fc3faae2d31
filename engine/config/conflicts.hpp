// What the fields of a service, and the services of a configuration, must not say together.
#pragma once

#include <vector>

#include "config/places.hpp"
#include "core/result.hpp"
#include "core/service.hpp"

namespace nfsteer::config {

// `place` is the service's map, whose fields are all read.
core::Result<void> check_service(const Place& place, const core::Service& service);

// `place` is the list of the services.
core::Result<void> check_services(const Place& place, const std::vector<core::Service>& services);

}  // namespace nfsteer::config
