// What is wrong with a file before its values are looked at: its text, its form, its fields, its size.
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "config_support.hpp"

namespace nfsteer::config {
namespace {

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  while (times-- > 0)
    all += text;
  return all;
}

TEST(ConfigDocumentErrors, TextThatIsNoYaml) {
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

TEST(ConfigDocumentErrors, ValuesOfTheWrongKind) {
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

TEST(ConfigDocumentErrors, FieldsThatAreMissingUnknownOrRepeated) {
  const std::string known =
      "the fields here are name, vip, protocol, port, mode, policy, shadow, masquerade, on_no_backend, "
      "on_backend_loss, slow_start, affinity, health and backends";
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
      {service("x: y"), "demo.yaml:4: services[0]: unknown field \"x\"; " + known},
      {service("\"new\\nline\": y"), "demo.yaml:4: services[0]: unknown field \"new\\x0aline\"; " + known},
      {service(std::string(100, 'n') + ": y"),
       "demo.yaml:4: services[0]: unknown field \"" + std::string(60, 'n') + "...\"; " + known},
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

TEST(ConfigDocumentErrors, Limits) {
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

TEST(ConfigDocumentErrors, FilesThatCannotBeRead) {
  EXPECT_EQ(error_line(load_file("/nowhere/demo.yaml")),
            "/nowhere/demo.yaml: cannot be read: No such file or directory; give a readable file");
  EXPECT_EQ(error_line(load_file("/")), "/: cannot be read: Is a directory; give a readable file");
}

}  // namespace
}  // namespace nfsteer::config
