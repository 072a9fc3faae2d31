// Every way in which a file can be wrong, and the line that says so.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "config_support.hpp"

namespace nfsteer::config {
namespace {

struct Case {
  std::string text;
  std::string error;
};

void expect_errors(const std::vector<Case>& cases) {
  for (const auto& [text, error] : cases) {
    const auto config = parse(text);
    EXPECT_EQ(error_line(config), error) << "for\n" << text;
    if (!config) {
      EXPECT_EQ(config.error().exit_code(), 2) << text;
    }
  }
}

// A file whose lines from the sixth on are fields of a service's second backend.
std::string backend(const std::string& fields) {
  return "services:\n  - vip: 10.0.0.40\n    port: 80\n    backends:\n      - 10.0.0.20\n      - " + fields +
         "\n";
}

// A file whose fourth line is a field of a service.
std::string service(const std::string& field) {
  return "services:\n  - vip: 10.0.0.40\n    backends: [10.0.0.20]\n    " + field + "\n";
}

// A file whose second line is a field of the engine.
std::string engine(const std::string& field) {
  return "engine:\n  " + field + "\nservices: []\n";
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  while (times-- > 0)
    all += text;
  return all;
}

TEST(ConfigYamlErrors, TextThatIsNoYaml) {
  expect_errors({
      {"", "demo.yaml: empty; write at least `services: []`"},
      {"# only a comment\n", "demo.yaml: empty; write at least `services: []`"},
      {"---\n", "demo.yaml: empty; write at least `services: []`"},
      {"~\n", "demo.yaml: empty; write at least `services: []`"},
      {"services:\n  - vip: [10.0.0.40\n",
       "demo.yaml:3: not YAML: end of sequence flow not found; look at indentation, colons, brackets and "
       "quotes up to there"},
      {"services:\n\t- vip: 10.0.0.40\n",
       "demo.yaml:2: not YAML: illegal block entry; look at indentation, colons, brackets and quotes up to "
       "there"},
      {"services: a: b\n",
       "demo.yaml:1: not YAML: illegal map value; look at indentation, colons, brackets and quotes up to "
       "there"},
      {"a: \"\\q\"\n",
       "demo.yaml:1: not YAML: unknown escape character: q; look at indentation, colons, brackets and quotes "
       "up to there"},
      {"a: \"\\\n\\\n\"", "demo.yaml:1: unknown field \"a\"; the fields here are engine and services"},
      {"services: []\n---\nservices: []\n",
       "demo.yaml:2: a second YAML document begins; keep one document in a file"},
      {"services: &a []\n",
       "demo.yaml:1: anchors and aliases are not supported; write the value out where it is used"},
      {"a: &a [x]\nb: *a\n",
       "demo.yaml:1: anchors and aliases are not supported; write the value out where it is used"},
      {"services: !!seq []\n", "demo.yaml:1: tags are not supported; leave the tag out"},
      {"? [a]\n: b\n",
       "demo.yaml:1: no plain name where a field is expected; write NAME: VALUE, and close every bracket"},
      {": b\n",
       "demo.yaml:1: no plain name where a field is expected; write NAME: VALUE, and close every bracket"},
      {"services: [[[[[[[[[[[[[[[[[[[[",
       "demo.yaml:1: no plain name where a field is expected; write NAME: VALUE, and close every bracket"},
      {std::string(100'000, '[') + std::string(100'000, ']'),
       "demo.yaml:1: more than 16 maps and lists inside one another; a configuration needs 5"},
      {std::string(100'000, '['),
       "demo.yaml:1: no plain name where a field is expected; write NAME: VALUE, and close every bracket"},
      {std::string(100'000, '{'),
       "demo.yaml:1: no plain name where a field is expected; write NAME: VALUE, and close every bracket"},
      {repeated("{a: ", 17) + repeated("}", 17),
       "demo.yaml:1: more than 16 maps and lists inside one another; a configuration needs 5"},
      {repeated("- ", 100'000) + "a",
       "demo.yaml:1: more than 16 maps and lists inside one another; a configuration needs 5"},
      {"services:\n  - vip: 10.0.0.40" + std::string(1, '\0') + "\n",
       "demo.yaml:2: byte 0x00, which is no text; save the file as UTF-8 text"},
      {"services: []\n\x04 cut here by yaml-cpp\n",
       "demo.yaml:2: byte 0x04, which is no text; save the file as UTF-8 text"},
  });
}

TEST(ConfigYamlErrors, ValuesOfTheWrongKind) {
  expect_errors({
      {"services\n",
       "demo.yaml:1: \"services\" where a map is expected; write a map with a list of services"},
      {"[services]\n", "demo.yaml:1: a list where a map is expected; write a map with a list of services"},
      {"services:\n", "demo.yaml:1: services: no value given; write a list of services, [] for none"},
      {"services: web\n",
       "demo.yaml:1: services: \"web\" where a list is expected; write a list of services, [] for none"},
      {"services:\n  web: 1\n",
       "demo.yaml:1: services: a map where a list is expected; write a list of services, [] for none"},
      {"services:\n  - web\n",
       "demo.yaml:2: services[0]: \"web\" where a map is expected; write a map with vip and backends"},
      {"services: []\nengine: 3\n",
       "demo.yaml:2: engine: 3 where a map is expected; write a map of settings"},
      {service("port: [80]"),
       "demo.yaml:4: services[0].port: a list where a single value is expected; write one port, or leave it "
       "out for all"},
      {service("name:"),
       "demo.yaml:4: services[0].name: no value given; use 1 to 63 letters, digits, '.', '_' and '-', a "
       "letter or digit first"},
      {service("mode: {a: b}"),
       "demo.yaml:4: services[0].mode: a map where a single value is expected; use dnat, connection, inspect "
       "or rewrite"},
      {"services:\n  - vip: 10.0.0.40\n    backends: 10.0.0.20\n",
       "demo.yaml:3: services[0].backends: 10.0.0.20 where a list is expected; write a list of backends, [] "
       "for none"},
      {"services:\n  - vip: 10.0.0.40\n    backends:\n",
       "demo.yaml:3: services[0].backends: no value given; write a list of backends, [] for none"},
      {"services:\n  - vip: 10.0.0.40\n    backends:\n      address: 10.0.0.20\n",
       "demo.yaml:3: services[0].backends: a map where a list is expected; write a list of backends, [] for "
       "none"},
      {backend("[10.0.0.30]"),
       "demo.yaml:6: services[0].backends[1]: a list where a map is expected; write an address, or a map "
       "with address, port and weight; quote a text with brackets"},
      {backend(""),
       "demo.yaml:7: services[0].backends[1]: no value given; write an address, or a map with address, port "
       "and weight; quote a text with brackets"},
      {backend("{address: [10.0.0.30]}"),
       "demo.yaml:6: services[0].backends[1].address: a list where a single value is expected; write one "
       "address, such as 10.0.0.40 or fd00::40"},
  });
}

TEST(ConfigYamlErrors, FieldsThatAreMissingUnknownOrRepeated) {
  expect_errors({
      {"engine: {}\n", "demo.yaml:1: \"services\" is missing; add a list of services, [] for none"},
      {"service: []\n", "demo.yaml:1: unknown field \"service\"; did you mean \"services\"?"},
      {"services: []\nlisteners: []\n",
       "demo.yaml:2: unknown field \"listeners\"; the fields here are engine and services"},
      {engine("queue-length: 5"),
       "demo.yaml:2: engine: unknown field \"queue-length\"; did you mean \"queue_length\"?"},
      {service("prot: tcp"), "demo.yaml:4: services[0]: unknown field \"prot\"; did you mean \"port\"?"},
      {service("on_nobackend: drop"),
       "demo.yaml:4: services[0]: unknown field \"on_nobackend\"; did you mean \"on_no_backend\"?"},
      {service("x: y"),
       "demo.yaml:4: services[0]: unknown field \"x\"; the fields here are name, vip, protocol, port, mode, "
       "policy, masquerade, on_no_backend and backends"},
      {service("\"new\\nline\": y"),
       "demo.yaml:4: services[0]: unknown field \"new\\x0aline\"; the fields here are name, vip, protocol, "
       "port, mode, policy, masquerade, on_no_backend and backends"},
      {service(std::string(100, 'n') + ": y"),
       "demo.yaml:4: services[0]: unknown field "
       "\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...\"; the fields here are name, vip, "
       "protocol, port, mode, policy, masquerade, on_no_backend and backends"},
      {backend("{address: 10.0.0.30, wieght: 1}"),
       "demo.yaml:6: services[0].backends[1]: unknown field \"wieght\"; did you mean \"weight\"?"},
      {backend("10.0.0.30,wieght=1"),
       "demo.yaml:6: services[0].backends[1]: unknown field \"wieght\"; did you mean \"weight\"?"},
      {"services:\n  - backends: [10.0.0.20]\n",
       "demo.yaml:2: services[0]: \"vip\" is missing; add vip: ADDRESS"},
      {"services:\n  - vip: 10.0.0.40\n",
       "demo.yaml:2: services[0]: \"backends\" is missing; add a list of backends, [] for none"},
      {"services:\n  - {}\n", "demo.yaml:2: services[0]: \"vip\" is missing; add vip: ADDRESS"},
      {backend("weight: 3"),
       "demo.yaml:6: services[0].backends[1]: \"address\" is missing; add address: ADDRESS"},
      {"services: []\nservices: []\n", "demo.yaml:2: \"services\" is given twice; keep one"},
      {service("vip: 10.0.0.41"), "demo.yaml:4: services[0]: \"vip\" is given twice; keep one"},
      {backend("{address: 10.0.0.30, weight: 1, weight: 1}"),
       "demo.yaml:6: services[0].backends[1]: \"weight\" is given twice; keep one"},
      {backend("10.0.0.30:80,port=80"),
       "demo.yaml:6: services[0].backends[1]: \"port\" is given twice; keep one"},
  });
}

TEST(ConfigYamlErrors, Addresses) {
  expect_errors({
      {"services:\n  - vip: 10.0.0.400\n",
       "demo.yaml:2: services[0].vip: 10.0.0.400 is not an IP address; write IPv4 as in 10.0.0.40, IPv6 as "
       "in fd00::40"},
      {"services:\n  - vip: ''\n",
       "demo.yaml:2: services[0].vip: \"\" is not an IP address; write IPv4 as in 10.0.0.40, IPv6 as in "
       "fd00::40"},
      {"services:\n  - vip: 10.0.0.040\n",
       "demo.yaml:2: services[0].vip: 10.0.0.040 is not an IP address; write IPv4 as in 10.0.0.40, IPv6 as "
       "in fd00::40"},
      {"services:\n  - vip: 10.0.0.0/24\n",
       "demo.yaml:2: services[0].vip: \"10.0.0.0/24\" is a prefix, not an address; write the address of one "
       "host"},
      {"services:\n  - vip: fd00::/64\n",
       "demo.yaml:2: services[0].vip: \"fd00::/64\" is a prefix, not an address; write the address of one "
       "host"},
      {"services:\n  - vip: fe80::1%eth0\n",
       "demo.yaml:2: services[0].vip: \"fe80::1%eth0\" has a zone, which no packet carries; write an address "
       "that needs none"},
      {"services:\n  - vip: 10.0.0.40:80\n",
       "demo.yaml:2: services[0].vip: 10.0.0.40:80 is not a bare address; write it without brackets, and the "
       "port as a value of its own"},
      {"services:\n  - vip: '[fd00::40]'\n",
       "demo.yaml:2: services[0].vip: \"[fd00::40]\" is not a bare address; write it without brackets, and "
       "the port as a value of its own"},
      {"services:\n  - vip: web.example.com\n",
       "demo.yaml:2: services[0].vip: \"web.example.com\" is a host name, and names are not looked up; write "
       "its address"},
      {"services:\n  - vip: 0.0.0.0\n",
       "demo.yaml:2: services[0].vip: 0.0.0.0 names no host; write the address of one host"},
      {"services:\n  - vip: 0.1.2.3\n",
       "demo.yaml:2: services[0].vip: 0.1.2.3 names no host; write the address of one host"},
      {"services:\n  - vip: '::'\n",
       "demo.yaml:2: services[0].vip: :: names no host; write the address of one host"},
      {"services:\n  - vip: 224.0.0.1\n",
       "demo.yaml:2: services[0].vip: 224.0.0.1 is a multicast address; write the address of one host"},
      {"services:\n  - vip: ff02::1\n",
       "demo.yaml:2: services[0].vip: ff02::1 is a multicast address; write the address of one host"},
      {"services:\n  - vip: 255.255.255.255\n",
       "demo.yaml:2: services[0].vip: 255.255.255.255 is the broadcast address; write the address of one "
       "host"},
      {"services:\n  - vip: ::ffff:10.0.0.40\n",
       "demo.yaml:2: services[0].vip: ::ffff:10.0.0.40 is an IPv4 address in IPv6 notation; write 10.0.0.40"},
      {backend("address: server2"),
       "demo.yaml:6: services[0].backends[1].address: \"server2\" is a host name, and names are not looked "
       "up; write its address"},
      {backend("address: 10.0.0.30:8080"),
       "demo.yaml:6: services[0].backends[1].address: 10.0.0.30:8080 is not a bare address; write it without "
       "brackets, and the port as a value of its own"},
      {backend("server2:80"),
       "demo.yaml:6: services[0].backends[1].address: \"server2\" is a host name, and names are not looked "
       "up; write its address"},
      {backend("224.0.0.1"),
       "demo.yaml:6: services[0].backends[1].address: 224.0.0.1 is a multicast address; write the address of "
       "one host"},
      {backend("fd00::30"),
       "demo.yaml:6: services[0].backends[1]: fd00::30 is IPv6, but the VIP 10.0.0.40 is IPv4; use backends "
       "of the VIP's family"},
      {backend("127.0.0.1"),
       "demo.yaml:6: services[0].backends[1]: 127.0.0.1 is a loopback address, which the kernel drops in "
       "routed packets; write an address of an interface of that host"},
      {"services:\n  - vip: fd00::40\n    backends: [10.0.0.20]\n",
       "demo.yaml:3: services[0].backends[0]: 10.0.0.20 is IPv4, but the VIP fd00::40 is IPv6; use backends "
       "of the VIP's family"},
      {"services:\n  - vip: fd00::40\n    backends: ['::1']\n",
       "demo.yaml:3: services[0].backends[0]: ::1 is a loopback address, which the kernel drops in routed "
       "packets; write an address of an interface of that host"},
  });
}

TEST(ConfigYamlErrors, ShortFormsOfBackends) {
  expect_errors({
      {backend("10.0.0.30:"),
       "demo.yaml:6: services[0].backends[1]: unknown field \"10.0.0.30\"; the fields here are address, port "
       "and weight"},
      {backend("10.0.0.30:http"),
       "demo.yaml:6: services[0].backends[1].port: \"http\" is not a whole number from 1 to 65535; write one "
       "port, or leave it out for the one that the client asked for"},
      {backend("10.0.0.30,"),
       "demo.yaml:6: services[0].backends[1]: \"\" is not an option of the form NAME=VALUE; write "
       "ADDRESS[:PORT][,weight=N], an IPv6 address with a port in brackets"},
      {backend("10.0.0.30,3"),
       "demo.yaml:6: services[0].backends[1]: \"3\" is not an option of the form NAME=VALUE; write "
       "ADDRESS[:PORT][,weight=N], an IPv6 address with a port in brackets"},
      {backend("10.0.0.30,weight="),
       "demo.yaml:6: services[0].backends[1].weight: \"\" is not a whole number from 0 to 65535; write the "
       "share of new connections as such a number"},
      {backend("10.0.0.30,weight=1,weight=2"),
       "demo.yaml:6: services[0].backends[1]: \"weight\" is given twice; keep one"},
      {backend("'[fd00::1'"),
       "demo.yaml:6: services[0].backends[1]: \"[fd00::1\" is not a backend; write "
       "ADDRESS[:PORT][,weight=N], an IPv6 address with a port in brackets"},
      {backend("'[fd00::1]80'"),
       "demo.yaml:6: services[0].backends[1]: \"[fd00::1]80\" is not a backend; write "
       "ADDRESS[:PORT][,weight=N], an IPv6 address with a port in brackets"},
      {backend("''"),
       "demo.yaml:6: services[0].backends[1].address: \"\" is not an IP address; write IPv4 as in 10.0.0.40, "
       "IPv6 as in fd00::40"},
      {"services:\n  - vip: 10.0.0.40\n    backends: [10.0.0.20,weight=3]\n",
       "demo.yaml:3: services[0].backends[1].address: \"weight=3\" is not an IP address; write IPv4 as in "
       "10.0.0.40, IPv6 as in fd00::40"},
  });
}

TEST(ConfigYamlErrors, NumbersPortsAndWeights) {
  expect_errors({
      {service("port: 0"),
       "demo.yaml:4: services[0].port: 0 is not a whole number from 1 to 65535; write one port, or leave it "
       "out for all"},
      {service("port: 65536"),
       "demo.yaml:4: services[0].port: 65536 is not a whole number from 1 to 65535; write one port, or leave "
       "it out for all"},
      {service("port: http"),
       "demo.yaml:4: services[0].port: \"http\" is not a whole number from 1 to 65535; write one port, or "
       "leave it out for all"},
      {service("port: 080"),
       "demo.yaml:4: services[0].port: 080 is not a whole number from 1 to 65535; write one port, or leave "
       "it out for all"},
      {service("port: 0x50"),
       "demo.yaml:4: services[0].port: \"0x50\" is not a whole number from 1 to 65535; write one port, or "
       "leave it out for all"},
      {service("port: 8e1"),
       "demo.yaml:4: services[0].port: 8e1 is not a whole number from 1 to 65535; write one port, or leave "
       "it out for all"},
      {service("port: +80"),
       "demo.yaml:4: services[0].port: +80 is not a whole number from 1 to 65535; write one port, or leave "
       "it out for all"},
      {service("port: ' 80'"),
       "demo.yaml:4: services[0].port: \" 80\" is not a whole number from 1 to 65535; write one port, or "
       "leave it out for all"},
      {service("port: ''"),
       "demo.yaml:4: services[0].port: \"\" is not a whole number from 1 to 65535; write one port, or leave "
       "it out for all"},
      {service("port: 99999999999999999999999"),
       "demo.yaml:4: services[0].port: 99999999999999999999999 is not a whole number from 1 to 65535; write "
       "one port, or leave it out for all"},
      {service("protocol: any\n    port: 80"),
       "demo.yaml:5: services[0].port: port 80 with protocol any, which has no ports; set the protocol to "
       "tcp, udp or sctp"},
      {backend("{address: 10.0.0.30, port: 65536}"),
       "demo.yaml:6: services[0].backends[1].port: 65536 is not a whole number from 1 to 65535; write one "
       "port, or leave it out for the one that the client asked for"},
      {backend("{address: 10.0.0.30, weight: 70000}"),
       "demo.yaml:6: services[0].backends[1].weight: 70000 is not a whole number from 0 to 65535; write the "
       "share of new connections as such a number"},
      {backend("{address: 10.0.0.30, weight: -1}"),
       "demo.yaml:6: services[0].backends[1].weight: -1 is not a whole number from 0 to 65535; write the "
       "share of new connections as such a number"},
      {backend("{address: 10.0.0.30, weight: 1.5}"),
       "demo.yaml:6: services[0].backends[1].weight: 1.5 is not a whole number from 0 to 65535; write the "
       "share of new connections as such a number"},
      {backend("{address: 10.0.0.30, weight: heavy}"),
       "demo.yaml:6: services[0].backends[1].weight: \"heavy\" is not a whole number from 0 to 65535; write "
       "the share of new connections as such a number"},
      {backend("10.0.0.30,weight=70000"),
       "demo.yaml:6: services[0].backends[1].weight: 70000 is not a whole number from 0 to 65535; write the "
       "share of new connections as such a number"},
      {"services:\n  - vip: 10.0.0.40\n    backends:\n      - 10.0.0.20:8080\n",
       "demo.yaml:4: services[0].backends[0]: port 8080 in a service of every port; give the service the "
       "port that clients ask for"},
      {"services:\n  - vip: 10.0.0.40\n    protocol: tcp\n    backends:\n      - address: 10.0.0.20\n        "
       "port: 8080\n",
       "demo.yaml:5: services[0].backends[0]: port 8080 in a service of every port; give the service the "
       "port that clients ask for"},
  });
}

TEST(ConfigYamlErrors, NamesAndChoices) {
  expect_errors({
      {service("name: my web"),
       "demo.yaml:4: services[0].name: \"my web\" is not a name of a service; use 1 to 63 letters, digits, "
       "'.', '_' and '-', a letter or digit first"},
      {service("name: ''"),
       "demo.yaml:4: services[0].name: \"\" is not a name of a service; use 1 to 63 letters, digits, '.', "
       "'_' and '-', a letter or digit first"},
      {service("name: -web"),
       "demo.yaml:4: services[0].name: \"-web\" is not a name of a service; use 1 to 63 letters, digits, "
       "'.', '_' and '-', a letter or digit first"},
      {service("name: " + std::string(64, 'a')),
       "demo.yaml:4: services[0].name: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" "
       "is not a name of a service; use 1 to 63 letters, digits, '.', '_' and '-', a letter or digit first"},
      {service("name: w\u00e4b"),
       "demo.yaml:4: services[0].name: \"w\xC3\xA4"
       "b\" is not a name of a service; use 1 to 63 letters, digits, '.', '_' and '-', a letter or digit "
       "first"},
      {service("mode: fast"),
       "demo.yaml:4: services[0].mode: \"fast\" is unknown; use dnat, connection, inspect or rewrite"},
      {service("mode: Connection"),
       "demo.yaml:4: services[0].mode: \"Connection\" is unknown; use dnat, connection, inspect or rewrite"},
      {service("policy: round-robin"),
       "demo.yaml:4: services[0].policy: \"round-robin\" is unknown; use weighted-random or other"},
      {service("protocol: icmp"),
       "demo.yaml:4: services[0].protocol: \"icmp\" is unknown; use tcp, udp, sctp or any"},
      {service("on_no_backend: accept"),
       "demo.yaml:4: services[0].on_no_backend: \"accept\" is unknown; use reject, drop or pass"},
      {service("masquerade: yes"),
       "demo.yaml:4: services[0].masquerade: \"yes\" is unknown; use true or false"},
  });
}

TEST(ConfigYamlErrors, EngineSettings) {
  expect_errors({
      {engine("queues: 0"),
       "demo.yaml:2: engine.queues: 0 is not a whole number from 1 to 64; write how many, or leave it out "
       "for one per CPU"},
      {engine("queues: 65"),
       "demo.yaml:2: engine.queues: 65 is not a whole number from 1 to 64; write how many, or leave it out "
       "for one per CPU"},
      {engine("queue_base: 65536"),
       "demo.yaml:2: engine.queue_base: 65536 is not a whole number from 0 to 65535; write the first queue "
       "number"},
      {engine("queue_length: 0"),
       "demo.yaml:2: engine.queue_length: 0 is not a whole number from 1 to 65536; write how many packets a "
       "queue holds"},
      {engine("queue_length: 65537"),
       "demo.yaml:2: engine.queue_length: 65537 is not a whole number from 1 to 65536; write how many "
       "packets a queue holds"},
      {engine("seed: -1"),
       "demo.yaml:2: engine.seed: -1 is not a whole number from 0 to 18446744073709551615; write such a "
       "number, or leave it out for a random one"},
      {engine("seed: 18446744073709551616"),
       "demo.yaml:2: engine.seed: 18446744073709551616 is not a whole number from 0 to 18446744073709551615; "
       "write such a number, or leave it out for a random one"},
      {engine("control: ''"),
       "demo.yaml:2: engine.control: \"\" cannot be the path of a socket; use 1 to 107 printable ASCII "
       "characters"},
      {engine("control: " + std::string(108, 'a')),
       "demo.yaml:2: engine.control: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" "
       "cannot be the path of a socket; use 1 to 107 printable ASCII characters"},
      {engine("control: \"/run/\\n\""),
       "demo.yaml:2: engine.control: \"/run/\\x0a\" cannot be the path of a socket; use 1 to 107 printable "
       "ASCII characters"},
      {engine("on_stop: stay"), "demo.yaml:2: engine.on_stop: \"stay\" is unknown; use keep or remove"},
      {engine("queues: 2\n  queue_base: 65531"),
       "demo.yaml:3: engine.queue_base: 2 workers need 6 queues from 65531 on, beyond the last number 65535; "
       "use a queue base of at most 65530"},
      {engine("queue_base: 65535"),
       "demo.yaml:2: engine.queue_base: 2 workers need 6 queues from 65535 on, beyond the last number 65535; "
       "use a queue base of at most 65530"},
  });
}

TEST(ConfigYamlErrors, ServicesThatContradictOneAnother) {
  const std::string web =
      "services:\n  - name: web\n    vip: 10.0.0.40\n    port: 80\n    backends: [10.0.0.20]\n";
  expect_errors({
      {web + "  - name: web\n    vip: 10.0.0.41\n    backends: [10.0.0.20]\n",
       "demo.yaml:6: services[1].name: \"web\" is the name of services[0] already; give each service a name "
       "of its own"},
      {"services:\n  - {vip: 10.0.0.40, backends: []}\n  - {vip: 10.0.0.41, backends: []}\n",
       "demo.yaml:3: services[1]: \"vip\" is the name of services[0] already; give each service a name of "
       "its own"},
      {web +
           "  - name: two\n    vip: 10.0.0.40\n    protocol: tcp\n    port: 80\n    backends: [10.0.0.30]\n",
       "demo.yaml:6: services[1]: services[0] has the same VIP, protocol and port; give each service a VIP, "
       "protocol or port of its own"},
      {web + "  - name: two\n    vip: 10.0.0.41\n    backends: [10.0.0.20, 10.0.0.40]\n",
       "demo.yaml:8: services[1].backends[1]: 10.0.0.40 is the VIP of service \"web\"; write the address of "
       "a host: steered packets are not steered again"},
      {"services:\n  - name: first\n    vip: 10.0.0.39\n    backends:\n      - address: 10.0.0.40\n" +
           web.substr(10),
       "demo.yaml:5: services[0].backends[0]: 10.0.0.40 is the VIP of service \"web\"; write the address of "
       "a host: steered packets are not steered again"},
      {"services:\n  - vip: 10.0.0.40\n    backends: [10.0.0.20, 10.0.0.40]\n",
       "demo.yaml:3: services[0].backends[1]: 10.0.0.40 is the VIP of this service; write the address of a "
       "host: steered packets are not steered again"},
      {backend("10.0.0.20"),
       "demo.yaml:6: services[0].backends[1]: 10.0.0.20:80 is backends[0] already; name each backend once "
       "and give it a weight"},
      {backend("10.0.0.20:80"),
       "demo.yaml:6: services[0].backends[1]: 10.0.0.20:80 is backends[0] already; name each backend once "
       "and give it a weight"},
      {"services:\n  - vip: fd00::40\n    backends: [fd00::20, 'fd00:0::20']\n",
       "demo.yaml:3: services[0].backends[1]: fd00::20 is backends[0] already; name each backend once and "
       "give it a weight"},
  });
}

TEST(ConfigYamlErrors, Limits) {
  std::string backends = "services:\n  - vip: 10.0.0.40\n    backends:\n";
  for (std::size_t i = 0; i <= kBackendsMax; ++i)
    backends += fmt::format("      - 10.1.{}.{}\n", i / 250, 1 + i % 250);
  std::string services = "services:\n";
  for (std::size_t i = 0; i <= kServicesMax; ++i)
    services += "  - {}\n";
  expect_errors({
      {backends, "demo.yaml:3: services[0].backends: 16385 items are too many; at most 16384 are possible"},
      {services, "demo.yaml:1: services: 10001 items are too many; at most 10000 are possible"},
      {repeated("[", 3 * kValuesMax + 1),
       "demo.yaml: more than 3000000 brackets, commas, colons or question marks; share the services among "
       "several engines"},
      {"services:\n" + repeated("- a\n", kValuesMax),
       "demo.yaml:1000001: more than 1000000 values; share the services among several engines"},
      {std::string(kFileBytesMax + 1, ' '),
       "demo.yaml: more than 67108864 bytes; share the services among several engines"},
  });
}

TEST(ConfigYamlErrors, FilesThatCannotBeRead) {
  EXPECT_EQ(error_line(load_file("/nowhere/demo.yaml", kPolicies)),
            "/nowhere/demo.yaml: cannot be read: No such file or directory; give a readable file");
  EXPECT_EQ(error_line(load_file("/", kPolicies)), "/: cannot be read: Is a directory; give a readable file");
}

}  // namespace
}  // namespace nfsteer::config
