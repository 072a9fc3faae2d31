// What is wrong with a value, or with values that do not go together, and the line that says so.
#include <string>

#include <gtest/gtest.h>

#include "config/places.hpp"
#include "config_support.hpp"

namespace nfsteer::config {
namespace {

TEST(ConfigValueErrors, Addresses) {
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

TEST(ConfigValueErrors, ShortFormsOfBackends) {
  expect_errors({
      {backend("10.0.0.30:"),
       "demo.yaml:6: services[0].backends[1]: unknown field \"10.0.0.30\"; the fields here are address, "
       "port, "
       "weight, state, backup and data"},
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

TEST(ConfigValueErrors, NumbersPortsAndWeights) {
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

TEST(ConfigValueErrors, NamesAndChoices) {
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
      {service("policy: 'mine.so,depth=3,depth=4'"),
       "demo.yaml:4: services[0].policy: option \"depth\" is given twice; give each option once"},
      {service("policy: 'mine.so,=3'"),
       "demo.yaml:4: services[0].policy: option \"\" has no name of an option; write NAME[,OPTION=VALUE...], "
       "or a map "
       "with name and the options"},
      {service("policy: 'mine.so,name=other.so'"),
       "demo.yaml:4: services[0].policy: option \"name\" has no name of an option; write "
       "NAME[,OPTION=VALUE...], or a "
       "map with name and the options"},
      {service("policy: rondo"),
       "demo.yaml:4: services[0].policy: \"rondo\" is unknown; `nfsteer policy list` names the policies; a "
       "file is PATH.so or PATH.py:CLASS"},
      {service("protocol: icmp"),
       "demo.yaml:4: services[0].protocol: \"icmp\" is unknown; use tcp, udp, sctp or any"},
      {service("on_no_backend: accept"),
       "demo.yaml:4: services[0].on_no_backend: \"accept\" is unknown; use reject, drop or pass"},
      {service("masquerade: yes"),
       "demo.yaml:4: services[0].masquerade: \"yes\" is unknown; use true or false"},
  });
}

TEST(ConfigValueErrors, EngineSettings) {
  expect_errors({
      {engine("queues: 0"),
       "demo.yaml:2: engine.queues: 0 is not a whole number from 1 to 64; write how many, or leave it out "
       "for one per CPU"},
      {engine("queues: 65"),
       "demo.yaml:2: engine.queues: 65 is not a whole number from 1 to 64; write how many, or leave it out "
       "for one per CPU"},
      {engine("queue_base: 65535"),
       "demo.yaml:2: engine.queue_base: 65535 is not a whole number from 0 to 65534; write the first queue "
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
      {engine("control_group: ''"),
       "demo.yaml:2: engine.control_group: \"\" is not a name of a group; use 1 to 32 letters, digits, '.', "
       "'_' and '-', or leave it out for root's"},
      {engine("control_group: my group"),
       "demo.yaml:2: engine.control_group: \"my group\" is not a name of a group; use 1 to 32 letters, "
       "digits, '.', '_' and '-', or leave it out for root's"},
      {engine("control_group: " + std::string(33, 'a')),
       "demo.yaml:2: engine.control_group: \"" + std::string(33, 'a') +
           "\" is not a name of a group; use 1 to 32 letters, digits, '.', '_' and '-', or leave it out for "
           "root's"},
      {engine("watch: on"), "demo.yaml:2: engine.watch: \"on\" is unknown; use true or false"},
      {engine("track_connections: 1"),
       "demo.yaml:2: engine.track_connections: \"1\" is unknown; use true or false"},
      {engine("log_level: warn"),
       "demo.yaml:2: engine.log_level: \"warn\" is unknown; use debug, info, warning or error"},
      {engine("log_format: xml"), "demo.yaml:2: engine.log_format: \"xml\" is unknown; use text or json"},
      {engine("seccomp: yes"), "demo.yaml:2: engine.seccomp: \"yes\" is unknown; use enforce, log or off"},
      {engine("user: ''"),
       "demo.yaml:2: engine.user: \"\" is not a name of a user; use 1 to 32 letters, digits, '.', '_' and "
       "'-', or leave it out to stay who starts the engine"},
      {engine("on_stop: stay"), "demo.yaml:2: engine.on_stop: \"stay\" is unknown; use keep or remove"},
      {engine("queues: 2\n  queue_base: 65531"),
       "demo.yaml:3: engine.queue_base: 2 workers need 6 queues from 65531 on, beyond the last number 65534; "
       "use a queue base of at most 65529"},
      {engine("queue_base: 65534"),
       "demo.yaml:2: engine.queue_base: 2 workers need 6 queues from 65534 on, beyond the last number 65534; "
       "use a queue base of at most 65529"},
  });
}

TEST(ConfigValueErrors, ListeningAddresses) {
  for (const std::string text :
       {"localhost:9780", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:09780", "127.0.0.1:65536",
        ":9780", "0", "9780x", "", "[::1]", "::1:9780", "[]:9780", "[127.0.0.1]:9780", "10.0.0.0/24:9780",
        "127.0.0.1:9780 "})
    EXPECT_EQ(error_line(parse(engine("listen: '" + text + "'"))),
              "demo.yaml:2: engine.listen: " + shown(text) +
                  " is not an address and a port; write ADDRESS:PORT, [ADDRESS]:PORT for IPv6, or a port "
                  "alone for 127.0.0.1");
}

TEST(ConfigValueErrors, ServicesThatContradictOneAnother) {
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

}  // namespace
}  // namespace nfsteer::config
