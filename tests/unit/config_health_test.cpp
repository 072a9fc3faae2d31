// Health checks: what a check means, and what is wrong with one.
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "config_support.hpp"

namespace nfsteer::config {
namespace {

using core::CheckType;
using core::HealthCheck;
using namespace std::chrono_literals;

// A TCP service whose fifth line is its health check.
std::string checked(const std::string& health, const std::string& service = "port: 80") {
  return "services:\n  - vip: 10.0.0.40\n    backends: []\n    " + service + "\n    health: " + health + "\n";
}

HealthCheck check(const std::string& health, const std::string& service = "port: 80") {
  const auto config = parse(checked(health, service));
  EXPECT_EQ(error_line(config), "no error") << health;
  return config ? config->services[0].health.value_or(HealthCheck{}) : HealthCheck{};
}

HealthCheck of_type(CheckType type) {
  HealthCheck check;
  check.type = type;
  return check;
}

TEST(ConfigHealth, ATypeAloneIsAWholeCheck) {
  EXPECT_EQ(check("tcp"), HealthCheck{});
  EXPECT_EQ(check("{}"), HealthCheck{});
  EXPECT_EQ(check("http"), of_type(CheckType::http));
  EXPECT_EQ(check("udp"), of_type(CheckType::udp));
  EXPECT_EQ(check("icmp", "protocol: any"), of_type(CheckType::icmp));
  EXPECT_EQ(check("{type: http}"), of_type(CheckType::http));
  EXPECT_EQ(parse(checked("none"))->services[0].health, std::nullopt);
}

TEST(ConfigHealth, PassiveChecksCountThreeConnectionsUnlessTheySayHowMany) {
  HealthCheck passive = of_type(CheckType::passive);
  passive.passive = 3;
  EXPECT_EQ(check("passive"), passive);
  EXPECT_EQ(check("{type: passive, passive: 1000}").passive, 1000);
  EXPECT_EQ(check("{type: tcp, passive: 5}").passive, 5);
  EXPECT_EQ(check("passive", "protocol: any").passive, 3);
}

TEST(ConfigHealth, FieldsOfTheTypesAreRead) {
  EXPECT_EQ(check("{type: http, status: 204}").status_first, 204);
  EXPECT_EQ(check("{type: http, status: 204}").status_last, 204);
  EXPECT_EQ(check("{type: http, status: 100-599}").status_first, 100);
  EXPECT_EQ(check("{type: http, status: 100-599}").status_last, 599);
  EXPECT_EQ(check("{type: http, path: /" + std::string(1023, 'a') + "}").path.size(), 1024U);
  EXPECT_EQ(check("{type: exec, command: [/usr/lib/x, '', a b]}").command,
            (std::vector<std::string>{"/usr/lib/x", "", "a b"}));
  EXPECT_EQ(check("{type: udp, port: 53}", "protocol: any").port, 53);
}

TEST(ConfigHealth, DatagramsMayHoldAnyByte) {
  const HealthCheck udp = check(R"({type: udp, send: '\x00\xfFa\\\r\n\t', expect: "\\x01 \"b\""})");
  EXPECT_EQ(udp.send, std::string("\0\xff"
                                  "a\\\r\n\t",
                                  7));
  EXPECT_EQ(udp.expect, "\x01 \"b\"");
  EXPECT_EQ(check("{type: udp, send: " + std::string(1400, 'a') + "}").send.size(), 1400U);
}

TEST(ConfigHealth, DurationsHaveTheirUnit) {
  EXPECT_EQ(check("{interval: 100ms, timeout: 10ms}").interval, 100ms);
  EXPECT_EQ(check("{interval: 100ms, timeout: 10ms}").timeout, 10ms);
  EXPECT_EQ(check("{interval: 90s}").interval, 90s);
  EXPECT_EQ(check("{interval: 60m}").interval, 1h);
  EXPECT_EQ(check("{interval: 1h, timeout: 1m, backoff_max: 24h}").backoff_max, 24h);
}

TEST(ConfigHealth, WhatIsNotSaidFollowsTheInterval) {
  EXPECT_EQ(check("{interval: 1s}").timeout, 1s) << "no longer than the interval";
  EXPECT_EQ(check("{interval: 3s}").timeout, 2s);
  EXPECT_EQ(check("{interval: 5m}").backoff_max, 5min) << "no shorter than the interval";
  EXPECT_EQ(check("{interval: 5s}").backoff_max, 1min);
  EXPECT_EQ(check("{interval: 5s, timeout: 5s, backoff_max: 5s}").timeout, 5s);
}

// The lines about the service's health, without what they begin with.
void expect_health_errors(const std::vector<std::pair<std::string, std::string>>& cases,
                          const std::string& service = "port: 80") {
  for (const auto& [health, error] : cases)
    EXPECT_EQ(error_line(parse(checked(health, service))), "demo.yaml:5: services[0].health" + error);
}

TEST(ConfigHealthErrors, FormsAndTypes) {
  expect_health_errors({
      {"", ": no value given; write a type, none, or a map"},
      {"[tcp]", ": a list where a map is expected; write a type, none, or a map"},
      {"ftp", ": \"ftp\" is unknown; use tcp, http, udp, icmp, exec, passive or none"},
      {"true", ": \"true\" is unknown; use tcp, http, udp, icmp, exec, passive or none"},
      {"{type: none}", ".type: \"none\" is unknown; use tcp, http, udp, icmp, exec or passive"},
      {"{typ: tcp}", ": unknown field \"typ\"; did you mean \"type\"?"},
      {"{x: y}",
       ": unknown field \"x\"; the fields here are type, port, path, host, status, send, expect, command, "
       "interval, timeout, rise, fall, jitter, backoff_max, passive and panic_threshold"},
      {"{rise: 1, rise: 1}", ": \"rise\" is given twice; keep one"},
  });
}

TEST(ConfigHealthErrors, FieldsOfAnotherType) {
  expect_health_errors({
      {"{path: /x}",
       ".path: path belongs to type http, and this check is of type tcp; leave it out, or change the type"},
      {"{host: a, type: udp}",
       ".host: host belongs to type http, and this check is of type udp; leave it out, or change the type"},
      {"{status: 200, type: exec}",
       ".status: status belongs to type http, and this check is of type exec; leave it out, or change the "
       "type"},
      {"{send: a, type: http}",
       ".send: send belongs to type udp, and this check is of type http; leave it out, or change the type"},
      {"{expect: a, type: icmp}",
       ".expect: expect belongs to type udp, and this check is of type icmp; leave it out, or change the "
       "type"},
      {"{command: [/x]}",
       ".command: command belongs to type exec, and this check is of type tcp; leave it out, or change the "
       "type"},
      {"{port: 80, type: icmp}",
       ".port: port belongs to type tcp, http, udp or exec, and this check is of type icmp; leave it out, or "
       "change the type"},
      {"{port: 80, type: passive}",
       ".port: port belongs to type tcp, http, udp or exec, and this check is of type passive; leave it out, "
       "or change the type"},
  });
}

TEST(ConfigHealthErrors, Values) {
  const std::string path_mend =
      "write it as in /healthz: a '/' first, printable ASCII without spaces, at most 1024 characters";
  const std::string host_mend =
      "write 1 to 255 printable ASCII characters without spaces, or leave it out for the backend's address";
  const std::string status_mend = "write one status or a range from 100 to 599, as in 200 or 200-299";
  const std::string bytes_mend =
      "write printable ASCII, and every other byte as \\n, \\r, \\t, \\\\ or \\xNN; in YAML without double "
      "quotes";
  expect_health_errors({
      {"{port: 0}",
       ".port: 0 is not a whole number from 1 to 65535; write one port, or leave it out for the one that "
       "connections arrive at"},
      {"{type: http, path: healthz}", ".path: \"healthz\" is not a path; " + path_mend},
      {"{type: http, path: ''}", ".path: \"\" is not a path; " + path_mend},
      {"{type: http, path: /a b}", ".path: \"/a b\" is not a path; " + path_mend},
      {R"({type: http, path: "/\r\nX: y"})", ".path: \"/\\x0d\\x0aX: y\" is not a path; " + path_mend},
      {"{type: http, path: /" + std::string(1024, 'a') + "}",
       ".path: \"/" + std::string(59, 'a') + "...\" is not a path; " + path_mend},
      {"{type: http, host: ''}", ".host: \"\" cannot be a Host header; " + host_mend},
      {R"({type: http, host: "a\r\nX: y"})",
       ".host: \"a\\x0d\\x0aX: y\" cannot be a Host header; " + host_mend},
      {"{type: http, host: " + std::string(256, 'a') + "}",
       ".host: \"" + std::string(60, 'a') + "...\" cannot be a Host header; " + host_mend},
      {"{type: http, status: 99}", ".status: 99 is not a range of statuses; " + status_mend},
      {"{type: http, status: 200-600}", ".status: 200-600 is not a range of statuses; " + status_mend},
      {"{type: http, status: 299-200}", ".status: 299-200 is not a range of statuses; " + status_mend},
      {"{type: http, status: 200-}", ".status: 200- is not a range of statuses; " + status_mend},
      {"{type: http, status: 2xx}", ".status: \"2xx\" is not a range of statuses; " + status_mend},
      {"{type: http, status: 200-299-300}",
       ".status: 200-299-300 is not a range of statuses; " + status_mend},
      {R"({type: udp, send: '\q'})", ".send: \"\\q\" is not a datagram's text; " + bytes_mend},
      {R"({type: udp, send: 'a\'})", ".send: \"a\\\" is not a datagram's text; " + bytes_mend},
      {R"({type: udp, send: '\x1'})", ".send: \"\\x1\" is not a datagram's text; " + bytes_mend},
      {R"({type: udp, send: '\x1g'})", ".send: \"\\x1g\" is not a datagram's text; " + bytes_mend},
      {R"({type: udp, expect: "\n"})", ".expect: \"\\x0a\" is not a datagram's text; " + bytes_mend},
      {R"({type: udp, send: "\xff"})", ".send: \"\u00ff\" is not a datagram's text; " + bytes_mend},
      {"{type: udp, send: " + std::string(1401, 'a') + "}",
       ".send: 1401 bytes are too many; write at most 1400"},
      {"exec", ": \"command\" is missing; add command: [/PATH, ARGUMENT...]"},
      {"{type: exec}", ": \"command\" is missing; add command: [/PATH, ARGUMENT...]"},
      {"{type: exec, command: /bin/true}",
       ".command: \"/bin/true\" where a list is expected; write [/PATH, ARGUMENT...]"},
      {"{type: exec, command: []}", ".command: no absolute path comes first; write [/PATH, ARGUMENT...]"},
      {"{type: exec, command: [true]}", ".command: no absolute path comes first; write [/PATH, ARGUMENT...]"},
      {"{type: exec, command: [/x, [y]]}",
       ".command[1]: a list where a single value is expected; write one word of the command"},
      {R"({type: exec, command: [/x, "\n"]})",
       ".command[1]: \"\\x0a\" cannot be a word of a command; use at most 1024 printable ASCII characters"},
      {"{type: exec, command: [/x" +
           []() {
             std::string words;
             for (int i = 0; i < 32; ++i)
               words += ", y";
             return words;
           }() +
           "]}",
       ".command: 33 items are too many; at most 32 are possible"},
      {"{rise: 0}",
       ".rise: 0 is not a whole number from 1 to 100; write how many good checks in a row bring a backend "
       "back"},
      {"{fall: 101}",
       ".fall: 101 is not a whole number from 1 to 100; write how many bad checks in a row take a backend "
       "out"},
      {"{jitter: 51}",
       ".jitter: 51 is not a whole number from 0 to 50; write how many percent of the interval"},
      {"{jitter: 10%}",
       ".jitter: \"10%\" is not a whole number from 0 to 50; write how many percent of the interval"},
      {"{passive: 1001}",
       ".passive: 1001 is not a whole number from 0 to 1000; write how many connections in a row without an "
       "answer take a backend out"},
      {"{panic_threshold: 101}",
       ".panic_threshold: 101 is not a whole number from 0 to 100; write how many percent of the backends"},
  });
}

TEST(ConfigHealthErrors, Durations) {
  const std::string form = "write it as in 5s: a whole number and ms, s, m or h";
  const std::string unit = "write it with ms, s, m or h, as in 5s";
  expect_health_errors({
      {"{interval: 5}", ".interval: 5 has no unit; " + unit},
      {"{interval: 0}", ".interval: 0 has no unit; " + unit},
      {"{interval: 5 seconds}", ".interval: \"5 seconds\" is not a duration; " + form},
      {"{interval: 5 s}", ".interval: \"5 s\" is not a duration; " + form},
      {"{interval: 5S}", ".interval: \"5S\" is not a duration; " + form},
      {"{interval: 1.5s}", ".interval: \"1.5s\" is not a duration; " + form},
      {"{interval: -5s}", ".interval: \"-5s\" is not a duration; " + form},
      {"{interval: 05s}", ".interval: \"05s\" is not a duration; " + form},
      {"{interval: 1m30s}", ".interval: \"1m30s\" is not a duration; " + form},
      {"{interval: 1d}", ".interval: \"1d\" is not a duration; " + form},
      {"{interval: s}", ".interval: \"s\" is not a duration; " + form},
      {"{interval: ''}", ".interval: \"\" is not a duration; " + form},
      {"{interval: [5s]}", ".interval: a list where a single value is expected; write how often to check"},
      {"{interval: 99ms}", ".interval: 99ms is not from 100ms to 1h; write how often to check"},
      {"{interval: 0s}", ".interval: 0s is not from 100ms to 1h; write how often to check"},
      {"{interval: 61m}", ".interval: 61m is not from 100ms to 1h; write how often to check"},
      {"{interval: 9223372036854775807h}",
       ".interval: 9223372036854775807h is not from 100ms to 1h; write how often to check"},
      {"{interval: 99999999999999999999ms}",
       ".interval: 99999999999999999999ms is not from 100ms to 1h; write how often to check"},
      {"{timeout: 9ms}", ".timeout: 9ms is not from 10ms to 1m; write how long a check may take"},
      {"{timeout: 61s}", ".timeout: 61s is not from 10ms to 1m; write how long a check may take"},
      {"{backoff_max: 25h}",
       ".backoff_max: 25h is not from 100ms to 24h; write up to what the interval grows while down"},
  });
}

TEST(ConfigHealthErrors, FieldsThatContradictOneAnother) {
  expect_health_errors({
      {"{timeout: 6s}",
       ".timeout: 6s is longer than the interval, 5s; let a check end before the next one starts"},
      {"{interval: 1s, timeout: 1001ms}",
       ".timeout: 1001ms is longer than the interval, 1s; let a check end before the next one starts"},
      {"{backoff_max: 4s}",
       ".backoff_max: 4s is shorter than the interval, 5s; the interval only grows while a backend is down"},
      {"{type: passive, passive: 0}",
       ".passive: 0 with type passive, which then checks nothing; write how many connections, or health: "
       "none"},
  });
}

TEST(ConfigHealthErrors, ChecksThatDoNotGoWithTheirService) {
  const std::string no_port = ": no port to check; write port: N";
  expect_health_errors({{"tcp", no_port}, {"http", no_port}, {"udp", no_port}, {"{rise: 1}", no_port}},
                       "protocol: any");
  expect_health_errors(
      {{"passive",
        ": passive counts TCP connections, and the protocol is udp; have the service checked in "
        "another way"},
       {"{type: udp, passive: 1, port: 53}",
        ".passive: passive counts TCP connections, and the protocol is udp; have the service checked in "
        "another way"}},
      "protocol: udp");
  EXPECT_EQ(check("{type: http, port: 8080}", "protocol: udp").port, 8080);
}

}  // namespace
}  // namespace nfsteer::config
