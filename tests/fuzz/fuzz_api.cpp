// Any bytes as the body of a request that adds, replaces or changes a service. What is accepted must mean the
// same once given out and read again; what is refused must be refused in one line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/serialize.hpp>

#include "config/config.hpp"
#include "config/diff.hpp"
#include "config/json_reader.hpp"
#include "config/services_edit.hpp"

namespace {

using namespace nfsteer;
using config::RawValue;
using Services = std::vector<core::Service>;

constexpr std::string_view kPolicies[] = {"weighted-random", "other"};

void require(bool holds) {
  if (!holds) std::abort();
}

const Services& running() {
  static const Services services = [] {
    const auto config = config::parse_yaml(
        "services: [{name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, '10.0.0.30:81,weight=3']},"
        " {name: six, vip: 'fd00::40', backends: ['fd00::20']}]",
        "running");
    require(config.has_value());
    return config->services;
  }();
  return services;
}

bool means(const RawValue& list, const Services& services) {
  const auto read = config::validate_services(list);
  return read && *read == services;
}

void check(const RawValue& list) {
  const auto services = config::validate_services(list);
  if (!services) {
    require(services.error().exit_code() == 2 && !services.error().reason.empty());
    require(services.error().line().find('\n') == std::string::npos);
    return;
  }
  require(means(config::raw_from(*services), *services));
  RawValue again = config::raw_from(Services{});
  for (const core::Service& each : *services) {
    const auto raw = config::read_json(boost::json::serialize(config::to_json(each)));
    require(raw.has_value());
    again.children.push_back(*raw);
  }
  require(means(again, *services));
  require(config::differences(*services, *services).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto body = config::read_json({reinterpret_cast<const char*>(data), size});
  if (!body) {
    require(body.error().line().find('\n') == std::string::npos);
    return 0;
  }
  RawValue added = config::raw_from(running());
  added.children.push_back(*body);
  check(added);
  RawValue replaced = config::raw_from(running());
  replaced.children[0] = *body;
  check(replaced);
  RawValue changed = config::raw_from(running());
  config::merge(changed.children[0], *body);
  check(changed);
  RawValue backend = config::raw_from(running());
  config::merge(**config::find_backend(backend.children[0], "10.0.0.20"), *body);
  check(backend);
  return 0;
}
