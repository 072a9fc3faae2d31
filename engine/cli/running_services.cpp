#include "cli/running_services.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/api_client.hpp"
#include "cli/client_call.hpp"
#include "config/json_reader.hpp"
#include "config/services_edit.hpp"

namespace nfsteer::cli {

namespace json = boost::json;

core::Result<std::vector<core::Service>> running_services(const std::string& control) {
  const auto answer = call_api(control, "GET", "/v1/services");
  if (!answer) return tl::unexpected(answer.error());
  return services_in(*answer);
}

core::Result<std::vector<core::Service>> services_in(const json::value& answer) {
  const json::value* list = answer.is_object() ? answer.get_object().if_contains("services") : nullptr;
  if (list == nullptr) return unreadable_answer();
  const auto raw = config::read_json(json::serialize(*list));
  if (!raw) return unreadable_answer();
  config::RawValue named = *raw;
  named.name = "services";
  auto services = config::validate_services(named);
  if (!services) return unreadable_answer();
  return services;
}

}  // namespace nfsteer::cli
