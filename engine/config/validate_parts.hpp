// The parts of the validator, one source file each: what the maps of a configuration hold.
#pragma once

#include <string_view>
#include <vector>

#include "config/engine_settings.hpp"
#include "config/fields.hpp"
#include "config/places.hpp"
#include "core/result.hpp"
#include "core/service.hpp"

namespace nfsteer::config {

// Fields that are not given stay as they are.
core::Result<void> read_engine(const Place& place, Engine& engine);

core::Result<void> read_service(const Place& place, core::Service& service);
core::Result<core::PolicySpec> read_policy_spec(const Place& place);
core::Result<void> read_policy(const Place& place, core::Service& service);
core::Result<void> read_shadow(const Place& place, core::Service& service);
core::Result<void> read_backends(const Place& place, core::Service& service);
// One of backend_fields(), for maps that have others beside them.
core::Result<void> read_backend_field(const Place& place, core::Backend& backend);
core::Result<void> read_affinity(const Place& place, core::Service& service);
core::Result<void> read_health(const Place& place, core::Service& service);

// The names of the fields that each of these maps may have.
std::vector<std::string_view> engine_fields();
std::vector<std::string_view> service_fields();
std::vector<std::string_view> backend_fields();
std::vector<std::string_view> affinity_fields();
std::vector<std::string_view> health_fields();

}  // namespace nfsteer::config
