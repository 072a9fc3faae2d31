#include "config/validate.hpp"

#include "config/conflicts.hpp"
#include "config/fields.hpp"
#include "config/places.hpp"
#include "config/validate_parts.hpp"

namespace nfsteer::config {
namespace {

using core::Result;

Result<void> read_services(const Place& place, Config& config) {
  if (auto list = expect_list(place, kServicesMax, "write a list of services, [] for none"); !list)
    return list;
  for (std::size_t i = 0; i < place.value().children.size(); ++i)
    if (auto read = read_service(place.item(i), config.services.emplace_back()); !read) return read;
  return check_services(place, config.services);
}

constexpr Field<Config> kDocumentFields[] = {
    {"engine",
     [](const Place& place, Config& config) -> Result<void> {
       // All its fields are optional, so all of them may be commented out.
       if (place.value().kind == RawValue::Kind::nothing) return {};
       return read_engine(place, config.engine);
     }},
    {"services", read_services},
};

}  // namespace

Result<Config> validate(const RawValue& document, std::string_view file) {
  const Place place(document, file);
  Config config;
  if (auto read = read_fields(place, kDocumentFields, config, "write a map with a list of services"); !read)
    return tl::unexpected(read.error());
  if (auto has = require(place, "services", "add a list of services, [] for none"); !has)
    return tl::unexpected(has.error());
  return config;
}

Result<Engine> validate_engine(const RawValue& map, std::string_view file, Engine base) {
  if (auto read = read_engine(Place(map, file), base); !read) return tl::unexpected(read.error());
  return base;
}

}  // namespace nfsteer::config
