#include "experiment/scenario_reader.hpp"

#include <limits>

#include "config/conflicts.hpp"
#include "config/fields.hpp"
#include "config/readers.hpp"
#include "config/validate_parts.hpp"
#include "config/yaml_reader.hpp"
#include "experiment/values.hpp"

namespace nfsteer::experiment {
namespace {

using config::Field;
using config::Place;
using config::RawValue;
using core::Protocol;
using core::Result;
using lab::Nanoseconds;

Result<void> read_policies(const Place& place, Document& document) {
  document.policies.clear();
  if (auto list = config::expect_list(place, kPoliciesMax, "write a list of policies"); !list) return list;
  for (std::size_t i = 0; i < place.value().children.size(); ++i) {
    auto policy = config::read_policy_spec(place.item(i));
    if (!policy) return tl::unexpected(policy.error());
    document.policies.push_back(*std::move(policy));
  }
  if (document.policies.empty()) return place.fail("names no policy", "name one");
  return {};
}

template <Nanoseconds lab::Scenario::*member>
Result<void> read_setting(const Place& place, Document& document) {
  return config::store(read_time(place, 0, kTimeMax, "write a time since the beginning, or between events"),
                       document.scenario.*member);
}

// Has been read, or will be, in its own order: see read_document().
Result<void> read_elsewhere(const Place& /*place*/, Document& /*document*/) {
  return {};
}

constexpr Field<Document> kDocumentFields[] = {
    {"seed",
     [](const Place& place, Document& document) {
       return config::store(config::read_number(place, 0, std::numeric_limits<std::uint64_t>::max(),
                                                "write the number that all chance follows from"),
                            document.scenario.seed);
     }},
    {"vip", read_elsewhere},
    {"port",
     [](const Place& place, Document& document) {
       return config::store(config::read_number(place, 1, config::kPortMax, "write one port"),
                            document.scenario.port);
     }},
    {"protocol",
     [](const Place& place, Document& document) {
       return config::store(config::read_choice(place, {Protocol::tcp, Protocol::udp, Protocol::sctp}),
                            document.scenario.protocol);
     }},
    {"policies", read_policies},
    {"workload",
     [](const Place& place, Document& document) { return read_workload(place, document.scenario.workload); }},
    {"server", read_elsewhere},
    {"backends", read_servers},
    {"churn", read_elsewhere},
    {"event_delay", read_setting<&lab::Scenario::event_delay>},
    {"detection", read_setting<&lab::Scenario::detection>},
    {"timeout", read_setting<&lab::Scenario::timeout>},
    {"warmup", read_setting<&lab::Scenario::warmup>},
    {"probes",
     [](const Place& place, Document& document) {
       return config::store(
           config::read_number(place, 0, 10'000'000, "write how many flows disruption is measured with"),
           document.scenario.probes);
     }},
    {"decisions_only",
     [](const Place& place, Document& document) {
       return config::store(config::read_truth(place), document.scenario.decisions_only);
     }},
};

// What other fields need to know, wherever it stands.
Result<void> read_first(const Place& place, Document& document) {
  if (place.value().kind != RawValue::Kind::map) return {};  // read_fields() will say so
  if (place.value().find("vip") != nullptr)
    if (auto read = config::store(config::read_address(place.field("vip")), document.scenario.vip); !read)
      return read;
  if (place.value().find("server") != nullptr)
    return read_server_defaults(place.field("server"), document.server);
  return {};
}

// What a configuration of these backends would be refused for.
Result<void> check_backends(const Place& place, const lab::Scenario& scenario) {
  const RawValue* backends = place.value().find("backends");
  if (backends == nullptr || backends->kind != RawValue::Kind::list) return {};
  core::Service service;
  service.vip = scenario.vip;
  service.port = scenario.port;
  service.protocol = scenario.protocol;
  for (const lab::Server& each : scenario.servers)
    service.backends.push_back(each.backend);
  return config::check_service(place, service);
}

}  // namespace

Result<RawValue> read_values(const std::string& text, const std::string& file, const char* least) {
  auto values = config::read_yaml(text, file);
  if (!values && values.error().reason == "empty") values.error().mend = least;
  return values;
}

Result<Document> read_document(const RawValue& value, std::string_view file) {
  const Place place(value, file);
  Document document;
  document.policies.emplace_back();
  if (auto read = read_first(place, document); !read) return tl::unexpected(read.error());
  if (auto read = config::read_fields(place, kDocumentFields, document,
                                      "write a map with backends, workload and others");
      !read)
    return tl::unexpected(read.error());
  lab::Scenario& scenario = document.scenario;
  if (value.find("vip") == nullptr && !scenario.servers.empty() &&
      scenario.servers[0].backend.address.family() == core::Family::ipv6)
    scenario.vip = *core::IpAddress::parse("2001:db8::1");
  if (auto good = check_backends(place, scenario); !good) return tl::unexpected(good.error());
  return document;
}

}  // namespace nfsteer::experiment
