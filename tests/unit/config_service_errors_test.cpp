// What is wrong with a service's ways to start, keep, drain and lose backends, and what is right.
#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "config_support.hpp"

namespace nfsteer::config {
namespace {

using core::Affinity;
using namespace std::chrono_literals;

core::Service read(const std::string& field) {
  const auto config = parse(service(field));
  EXPECT_EQ(error_line(config), "no error") << field;
  return config ? config->services[0] : core::Service{};
}

TEST(ConfigServiceFields, FormsOfAffinity) {
  EXPECT_EQ(read("affinity: none").affinity, std::nullopt);
  EXPECT_EQ(read("affinity: client").affinity, Affinity{});
  EXPECT_EQ(read("affinity: {}").affinity, Affinity{});
  EXPECT_EQ(read("affinity: 90s").affinity, (Affinity{90s, 32, 128}));
  EXPECT_EQ(read("affinity: {timeout: 24h, ipv4_prefix: 1, ipv6_prefix: 1}").affinity, (Affinity{24h, 1, 1}));
}

TEST(ConfigServiceFields, LimitsOfSlowStart) {
  EXPECT_EQ(read("slow_start: 0s").slow_start, 0s);
  EXPECT_EQ(read("slow_start: 1h").slow_start, 1h);
  EXPECT_EQ(read("slow_start: 3000ms").slow_start, 3s);
}

TEST(ConfigServiceFields, AServiceMayHaveNothingButBackups) {
  const auto config = parse(
      "services:\n  - {vip: 10.0.0.40, backends: [{address: 10.0.0.20, backup: true}, "
      "'10.0.0.21,backup=true,state=maintenance']}\n");
  ASSERT_EQ(error_line(config), "no error");
  EXPECT_TRUE(config->services[0].backends[0].backup);
  EXPECT_TRUE(config->services[0].backends[1].backup);
  EXPECT_EQ(config->services[0].backends[1].state, core::AdminState::maintenance);
}

TEST(ConfigServiceFields, WhatIsWrong) {
  expect_errors({
      {service("on_backend_loss: drop"),
       "demo.yaml:4: services[0].on_backend_loss: \"drop\" is unknown; use keep or reset"},
      {service("slow_start: 30"),
       "demo.yaml:4: services[0].slow_start: 30 has no unit; write it with ms, s, m or h, as in 5s"},
      {service("slow_start: 61m"),
       "demo.yaml:4: services[0].slow_start: 61m is not from 0s to 1h; write for how long a backend that "
       "comes takes less"},
      {service("slow_start: 1500ms"),
       "demo.yaml:4: services[0].slow_start: 1500ms is not a whole number of seconds; write for how long a "
       "backend that comes takes less"},
      {service("affinity:"),
       "demo.yaml:4: services[0].affinity: no value given; write client, none, or a map with timeout, "
       "ipv4_prefix and ipv6_prefix"},
      {service("affinity: [client]"),
       "demo.yaml:4: services[0].affinity: a list where a map is expected; write client, none, or a map with "
       "timeout, ipv4_prefix and ipv6_prefix"},
      {service("affinity: source"),
       "demo.yaml:4: services[0].affinity: \"source\" is unknown; use none, client, or for how long, as in "
       "3h"},
      {service("affinity: ''"),
       "demo.yaml:4: services[0].affinity: \"\" is unknown; use none, client, or for how long, as in 3h"},
      {service("affinity: 3"),
       "demo.yaml:4: services[0].affinity: 3 has no unit; write it with ms, s, m or h, as in 5s"},
      {service("affinity: 0s"),
       "demo.yaml:4: services[0].affinity: 0s is not from 1s to 24h; write for how long a client keeps its "
       "backend"},
      {service("affinity: {timeout: 25h}"),
       "demo.yaml:4: services[0].affinity.timeout: 25h is not from 1s to 24h; write for how long a client "
       "keeps its backend"},
      {service("affinity: {timeout: 1001ms}"),
       "demo.yaml:4: services[0].affinity.timeout: 1001ms is not a whole number of seconds; write for how "
       "long a client keeps its backend"},
      {service("affinity: {ipv4_prefix: 0}"),
       "demo.yaml:4: services[0].affinity.ipv4_prefix: 0 is not a whole number from 1 to 32; write how many "
       "bits of the client's address count"},
      {service("affinity: {ipv4_prefix: 33}"),
       "demo.yaml:4: services[0].affinity.ipv4_prefix: 33 is not a whole number from 1 to 32; write how many "
       "bits of the client's address count"},
      {service("affinity: {ipv6_prefix: 129}"),
       "demo.yaml:4: services[0].affinity.ipv6_prefix: 129 is not a whole number from 1 to 128; write how "
       "many bits of the client's address count"},
      {service("affinity: {prefix: 24}"),
       "demo.yaml:4: services[0].affinity: unknown field \"prefix\"; the fields here are timeout, "
       "ipv4_prefix and ipv6_prefix"},
      {backend("{address: 10.0.0.30, state: down}"),
       "demo.yaml:6: services[0].backends[1].state: \"down\" is unknown; use active, drain or maintenance"},
      {backend("10.0.0.30,state=off"),
       "demo.yaml:6: services[0].backends[1].state: \"off\" is unknown; use active, drain or maintenance"},
      {backend("{address: 10.0.0.30, backup: yes}"),
       "demo.yaml:6: services[0].backends[1].backup: \"yes\" is unknown; use true or false"},
  });
}

}  // namespace
}  // namespace nfsteer::config
