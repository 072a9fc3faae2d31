// Services as the control API reads, gives and changes them.
#include <chrono>
#include <string>
#include <vector>

#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include "config/json_reader.hpp"
#include "config/services_edit.hpp"
#include "config_support.hpp"

namespace nfsteer::config {
namespace {

using core::Service;

// What validate_services() says of a list with the JSON service in it.
std::string said_of(const std::string& json) {
  const auto body = read_json(json);
  if (!body) return body.error().line();
  RawValue list = raw_from(std::vector<Service>{});
  list.children.push_back(*body);
  return error_line(validate_services(list));
}

TEST(ConfigEdit, RawServicesAreTheServicesThatTheyWereMadeFrom) {
  EXPECT_EQ(validate_services(raw_from(services())).value(), services());
}

TEST(ConfigEdit, AServiceAsJsonIsReadAsTheSameService) {
  RawValue list = raw_from(std::vector<Service>{});
  for (const Service& each : services())
    list.children.push_back(read_json(boost::json::serialize(to_json(each))).value());
  EXPECT_EQ(validate_services(list).value(), services());
}

TEST(ConfigEdit, ErrorsInJsonNameTheFieldByItsWayThroughTheBody) {
  const std::vector<std::pair<std::string, std::string>> table{
      {"{", "body: is not JSON: incomplete JSON; send one JSON object"},
      {R"({"vip": "10.0.0.40"})", R"(body: "backends" is missing; add a list of backends, [] for none)"},
      {R"({"vip": "10.0.0.40", "backends": {}})",
       "backends: a map where a list is expected; write a list of backends, [] for none"},
      {R"({"vip": "10.0.0.40", "backends": [{"address": "10.0.0.20", "weight": 70000}]})",
       "backends[0].weight: 70000 is not a whole number from 0 to 65535; write the share of new connections "
       "as such a "
       "number"},
      {R"({"vip": "10.0.0.40", "backends": [{"address": "10.0.0.20", "weight": 1.5}]})",
       "backends[0].weight: 1.5 is not a whole number; numbers here are whole"},
      {R"({"vip": "10.0.0.40", "backends": [{"address": "10.0.0.20", "weigth": 1}]})",
       R"(backends[0].weigth: unknown field "weigth"; did you mean "weight"?)"},
      {R"({"a\nb": 1})",
       R"(a\x0ab: unknown field "a\x0ab"; the fields here are name, vip, protocol, port, mode, policy, shadow, )"
       "masquerade, on_no_backend, on_backend_loss, slow_start, affinity, health and backends"},
      {R"({"vip": "10.0.0.40", "backends": ["10.0.0.20"], "mode": "sideways"})",
       R"(mode: "sideways" is unknown; use dnat, connection, inspect or rewrite)"},
  };
  for (const auto& [json, line] : table)
    EXPECT_EQ(said_of(json), line) << json;
}

TEST(ConfigEdit, BackendsAreFoundByAddressOrEndpoint) {
  RawValue list = raw_from(services());
  RawValue& web = *find_service(list, "web");
  RawValue& six = *find_service(list, "six");
  EXPECT_TRUE(find_backend(web, "10.0.0.20"));
  EXPECT_TRUE(find_backend(web, "10.0.0.30:8081"));
  EXPECT_TRUE(find_backend(six, "[fd00::20]:5353"));
  EXPECT_TRUE(find_backend(six, "FD00:0::30")) << "any form of the address";
  EXPECT_EQ(find_service(list, "other"), nullptr);
  EXPECT_EQ(error_line(find_backend(web, "10.0.0.30")),
            "service web: has several backends on 10.0.0.30; name the port too, as in 10.0.0.30:8080");
  EXPECT_EQ(error_line(find_backend(web, "10.0.0.20:80")),
            "service web: has no backend 10.0.0.20:80; `nfsteer services` lists its backends");
}

TEST(ConfigEdit, MergedFieldsReplaceOrJoinAndTheRestStays) {
  RawValue list = raw_from(services());
  merge(*find_service(list, "web"), read_json(R"({"mode": "dnat", "masquerade": true})").value());
  merge(**find_backend(*find_service(list, "web"), "10.0.0.20"),
        read_json(R"({"weight": 0, "port": 81})").value());
  std::vector<Service> wanted = services();
  wanted[0].mode = core::Mode::dnat;
  wanted[0].masquerade = true;
  wanted[0].backends[0].weight = 0;
  wanted[0].backends[0].port = 81;
  EXPECT_EQ(validate_services(list).value(), wanted);
}

// What becomes of a service, and of its first backend, that has everything, by a PATCH of that JSON.
Service patched(const std::string& service_patch, const std::string& backend_patch = "{}") {
  RawValue list = raw_from(services(kFull));
  RawValue& web = *find_service(list, "web");
  merge(**find_backend(web, "10.0.0.20"), read_json(backend_patch).value());
  merge(web, read_json(service_patch).value());
  const auto made = validate_services(list);
  EXPECT_EQ(error_line(made), "no error");
  return made ? made->front() : Service{};
}

TEST(ConfigEdit, APatchPutsDefaultsBack) {
  Service wanted = services(kFull)[0];
  EXPECT_EQ(patched("{}"), wanted);
  wanted.health.reset();
  EXPECT_EQ(patched(R"({"health": "none"})"), wanted);
  EXPECT_EQ(patched(R"({"health": null})"), wanted);
  wanted = services(kFull)[0];
  wanted.affinity.reset();
  EXPECT_EQ(patched(R"({"affinity": "none"})"), wanted);
  EXPECT_EQ(patched(R"({"affinity": null})"), wanted);
  wanted = services(kFull)[0];
  wanted.slow_start = std::chrono::seconds(0);
  wanted.on_backend_loss = core::OnBackendLoss::keep;
  EXPECT_EQ(patched(R"({"slow_start": "0s", "on_backend_loss": "keep"})"), wanted);
  EXPECT_EQ(patched(R"({"slow_start": null, "on_backend_loss": null})"), wanted);
  wanted = services(kFull)[0];
  wanted.backends[0].state = core::AdminState::active;
  wanted.backends[0].backup = false;
  EXPECT_EQ(patched("{}", R"({"state": "active", "backup": false})"), wanted);
  EXPECT_EQ(patched("{}", R"({"state": null, "backup": null})"), wanted);
}

TEST(ConfigEdit, APatchedMapReplacesTheOldOne) {
  Service wanted = services(kFull)[0];
  wanted.health = core::HealthCheck{};
  wanted.health->interval = wanted.health->timeout = std::chrono::seconds(1);
  EXPECT_EQ(patched(R"({"health": {"interval": "1s"}})"), wanted);
}

TEST(ConfigEdit, NullTakesAFieldAwayAndWhatIsRequiredIsMissed) {
  RawValue list = raw_from(services());
  merge(*find_service(list, "web"), read_json(R"({"vip": null, "slow_start": null})").value());
  EXPECT_EQ(error_line(validate_services(list)), "service web: \"vip\" is missing; add vip: ADDRESS");
}

TEST(ConfigEdit, ErrorsOfAPatchedServiceNameWhatIsWrongTogether) {
  RawValue list = raw_from(services(kFull));
  merge(*find_service(list, "web"), read_json(R"({"protocol": "udp"})").value());
  EXPECT_EQ(error_line(validate_services(list)),
            "service web: passive counts TCP connections, and the protocol is udp; have the service checked "
            "in another way");
  merge(*find_service(list, "web"), read_json(R"({"health": {"rise": 0}})").value());
  EXPECT_EQ(error_line(validate_services(list)),
            "health.rise: 0 is not a whole number from 1 to 100; write how many good checks in a row bring a "
            "backend back");
}

TEST(ConfigEdit, JsonHasNumbersTruthValuesAndTexts) {
  EXPECT_EQ(boost::json::serialize(to_json(services()[0])),
            R"({"name":"web","vip":"10.0.0.40","protocol":"tcp","port":80,"mode":"connection",)"
            R"("policy":"weighted-random","masquerade":false,"on_no_backend":"reject","backends":[)"
            R"({"address":"10.0.0.20","weight":1},{"address":"10.0.0.30","port":8080,"weight":3},)"
            R"({"address":"10.0.0.30","port":8081,"weight":1}]})");
  EXPECT_EQ(boost::json::serialize(to_json(services(kFull)[0])),
            R"({"name":"web","vip":"10.0.0.40","protocol":"tcp","port":80,"mode":"connection",)"
            R"("policy":"weighted-random","masquerade":false,"on_no_backend":"reject",)"
            R"("on_backend_loss":"reset","slow_start":"30s",)"
            R"("affinity":{"timeout":"3h","ipv4_prefix":24,"ipv6_prefix":128},)"
            R"("health":{"type":"http","port":8080,"path":"/healthz","interval":"2s","rise":1,"passive":4},)"
            R"("backends":[{"address":"10.0.0.20","weight":1,"state":"drain","backup":true},)"
            R"({"address":"10.0.0.30","weight":1}]})");
}

TEST(ConfigEdit, ErasedChildrenAreGone) {
  RawValue list = raw_from(services());
  erase(list, *find_service(list, "web"));
  EXPECT_EQ(validate_services(list).value(), std::vector<Service>{services()[1]});
}

TEST(ConfigEdit, WhatServicesMustNotSayTogetherIsSaidByName) {
  RawValue list = raw_from(services());
  list.children.push_back(
      read_json(R"({"name": "more", "vip": "10.0.0.40", "port": 80, "backends": []})").value());
  EXPECT_EQ(error_line(validate_services(list)),
            "body: services[0] has the same VIP, protocol and port; give each service a VIP, protocol or "
            "port of its own");
}

}  // namespace
}  // namespace nfsteer::config
