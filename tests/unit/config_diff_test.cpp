// What differs between two lists of services, and what one list says, for people.
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/diff.hpp"
#include "config_support.hpp"

namespace nfsteer::config {
namespace {

using core::Service;
using testing::ElementsAre;
using testing::IsEmpty;

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
    policy: /p.so
    masquerade: true
    on_no_backend: drop
    backends: ["10.0.0.30:8080,weight=4", 10.0.0.31, "10.0.0.30:8081"]
)")),
      ElementsAre("- service six", "+ service new: 10.0.0.41:53 udp, 1 backend",
                  "~ service web: mode connection -> dnat", "~ service web: policy weighted-random -> /p.so",
                  "~ service web: masquerade false -> true", "~ service web: on_no_backend reject -> drop",
                  "~ service web: - backend 10.0.0.20",
                  "~ service web: ~ backend 10.0.0.30:8080, weight 3 -> 4",
                  "~ service web: + backend 10.0.0.31, weight 1"));
}

TEST(ConfigDiff, NamesEveryFieldThatDiffers) {
  const auto with = [](const std::string& field) {
    return services("services: [{name: web, vip: 10.0.0.40, protocol: tcp, " + field + "}]");
  };
  struct Row {
    std::string before, after, line;
  };
  const std::string none = "backends: []";
  const std::vector<Row> table{
      {none, none + ", port: 80", "port none -> 80"},
      {none, none + ", on_backend_loss: reset", "on_backend_loss keep -> reset"},
      {none, none + ", slow_start: 90s", "slow_start 0s -> 90s"},
      {none, none + ", affinity: client",
       "affinity none -> {timeout: 3h, ipv4_prefix: 32, ipv6_prefix: 128}"},
      {none + ", affinity: client", none + ", affinity: 5m", "affinity.timeout 3h -> 5m"},
      {none, none + ", health: icmp", "health none -> {type: icmp}"},
      {none + ", health: {type: exec, command: [/x, y z]}", none,
       "health {type: exec, command: [/x, y z]} -> none"},
      {none + ", health: {port: 1}", none + ", health: {port: 2}", "health.port 1 -> 2"},
      {none + ", health: {port: 1, type: udp}", none + ", health: {port: 1, type: udp, send: 'a\\n'}",
       "health.send \"\" -> a\\n"},
      {none + ", health: icmp", none + ", health: {type: icmp, fall: 5}", "health.fall 3 -> 5"},
      {none + ", health: {type: exec, command: [/x]}", none + ", health: {type: exec, command: [/x, y]}",
       "health.command [/x] -> [/x, y]"},
      {"backends: [10.0.0.20]", "backends: ['10.0.0.20,state=drain']",
       "~ backend 10.0.0.20, state active -> drain"},
      {"backends: [10.0.0.20]", "backends: ['10.0.0.20,weight=2,backup=true']",
       "~ backend 10.0.0.20, weight 1 -> 2, backup false -> true"},
      {none, "backends: ['10.0.0.20,state=maintenance,backup=true']",
       "+ backend 10.0.0.20, weight 1, state maintenance, backup"},
  };
  for (const auto& [before, after, line] : table)
    EXPECT_THAT(differences(with(before), with(after)), ElementsAre("~ service web: " + line));
}

TEST(ConfigDiff, AnotherTypeOfCheckIsSaidFieldByField) {
  const auto with = [](const std::string& health) {
    return services("services: [{name: web, vip: 10.0.0.40, port: 80, backends: [], health: " + health +
                    "}]");
  };
  EXPECT_THAT(differences(with("tcp"), with("{type: http, path: /x}")),
              ElementsAre("~ service web: health.type tcp -> http", "~ service web: health.path none -> /x",
                          "~ service web: health.status none -> 200-399"));
  EXPECT_THAT(differences(with("http"), with("{interval: 1s}")),
              ElementsAre("~ service web: health.type http -> tcp", "~ service web: health.interval 5s -> 1s",
                          "~ service web: health.timeout 2s -> 1s", "~ service web: health.path / -> none",
                          "~ service web: health.status 200-399 -> none"));
}

TEST(ConfigDiff, ADescriptionLeavesDefaultsOut) {
  EXPECT_THAT(description(services()),
              ElementsAre("service web  10.0.0.40:80 tcp  mode connection  policy weighted-random  "
                          "on_no_backend reject",
                          "  backend 10.0.0.20  weight 1", "  backend 10.0.0.30:8080  weight 3",
                          "  backend 10.0.0.30:8081  weight 1",
                          "service six  [fd00::40]:53 udp  mode connection  policy weighted-random  "
                          "on_no_backend reject",
                          "  backend [fd00::20]:5353  weight 1", "  backend fd00::30  weight 1"));
  EXPECT_THAT(
      description(services(kFull)),
      ElementsAre("service web  10.0.0.40:80 tcp  mode connection  policy weighted-random  "
                  "on_no_backend reject  on_backend_loss reset  slow_start 30s  "
                  "affinity {timeout: 3h, ipv4_prefix: 24, ipv6_prefix: 128}  "
                  "health {type: http, port: 8080, path: /healthz, interval: 2s, rise: 1, passive: 4}",
                  "  backend 10.0.0.20  weight 1  state drain  backup", "  backend 10.0.0.30  weight 1"));
}

TEST(ConfigDiff, TheOrderOfServicesAndBackendsIsNoChange) {
  std::vector<Service> turned{services()[1], services()[0]};
  std::swap(turned[1].backends[0], turned[1].backends[2]);
  EXPECT_THAT(differences(services(), turned), IsEmpty());
}

}  // namespace
}  // namespace nfsteer::config
