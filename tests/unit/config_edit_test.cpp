// Services as the control API reads, gives and changes them, and what differs between two lists of them.
#include <string>
#include <vector>

#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/diff.hpp"
#include "config/json_reader.hpp"
#include "config/services_edit.hpp"
#include "config_support.hpp"

namespace nfsteer::config {
namespace {

using core::Service;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kTwo = R"(
services:
  - {name: web, vip: 10.0.0.40, port: 80, backends: [10.0.0.20, "10.0.0.30:8080,weight=3", "10.0.0.30:8081"]}
  - {name: six, vip: "fd00::40", port: 53, protocol: udp, backends: ["[fd00::20]:5353", "fd00::30"]}
)";

std::vector<Service> services(const std::string& text = kTwo) {
  return parse(text).value().services;
}

// What validate_services() says of a list with the JSON service in it.
std::string said_of(const std::string& json) {
  const auto body = read_json(json);
  if (!body) return body.error().line();
  RawValue list = raw_from(std::vector<Service>{});
  list.children.push_back(*body);
  return error_line(validate_services(list, kPolicies));
}

TEST(ConfigEdit, RawServicesAreTheServicesThatTheyWereMadeFrom) {
  EXPECT_EQ(validate_services(raw_from(services()), kPolicies).value(), services());
}

TEST(ConfigEdit, AServiceAsJsonIsReadAsTheSameService) {
  RawValue list = raw_from(std::vector<Service>{});
  for (const Service& each : services())
    list.children.push_back(read_json(boost::json::serialize(to_json(each))).value());
  EXPECT_EQ(validate_services(list, kPolicies).value(), services());
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
       R"(a\x0ab: unknown field "a\x0ab"; the fields here are name, vip, protocol, port, mode, policy, )"
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
  EXPECT_EQ(validate_services(list, kPolicies).value(), wanted);
}

TEST(ConfigEdit, ErasedChildrenAreGone) {
  RawValue list = raw_from(services());
  erase(list, *find_service(list, "web"));
  EXPECT_EQ(validate_services(list, kPolicies).value(), std::vector<Service>{services()[1]});
}

TEST(ConfigEdit, WhatServicesMustNotSayTogetherIsSaidByName) {
  RawValue list = raw_from(services());
  list.children.push_back(
      read_json(R"({"name": "more", "vip": "10.0.0.40", "port": 80, "backends": []})").value());
  EXPECT_EQ(error_line(validate_services(list, kPolicies)),
            "body: services[0] has the same VIP, protocol and port; give each service a VIP, protocol or "
            "port of its own");
}

TEST(ConfigDiff, SaysEveryKindOfChangeInOneLine) {
  EXPECT_THAT(differences(services(), services()), IsEmpty());
  EXPECT_THAT(
      differences(services(), services(R"(
services:
  - {name: new, vip: 10.0.0.41, port: 53, protocol: udp, backends: [10.0.0.20]}
  - name: web
    vip: 10.0.0.40
    port: 80
    mode: dnat
    policy: other
    masquerade: true
    on_no_backend: drop
    backends: ["10.0.0.30:8080,weight=4", 10.0.0.31, "10.0.0.30:8081"]
)")),
      ElementsAre("- service six", "+ service new: 10.0.0.41:53 udp, 1 backend",
                  "~ service web: mode connection -> dnat", "~ service web: policy weighted-random -> other",
                  "~ service web: masquerade false -> true", "~ service web: on_no_backend reject -> drop",
                  "~ service web: - backend 10.0.0.20",
                  "~ service web: ~ backend 10.0.0.30:8080, weight 3 -> 4",
                  "~ service web: + backend 10.0.0.31, weight 1"));
}

TEST(ConfigDiff, TheOrderOfServicesAndBackendsIsNoChange) {
  std::vector<Service> turned{services()[1], services()[0]};
  std::swap(turned[1].backends[0], turned[1].backends[2]);
  EXPECT_THAT(differences(services(), turned), IsEmpty());
}

}  // namespace
}  // namespace nfsteer::config
