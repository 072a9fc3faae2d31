// Every way in which flags can be wrong, and the line that says so. What a value may be is decided in the
// same place as for files, so one case for each flag shows that it goes there.
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "config_support.hpp"

namespace nfsteer::config {
namespace {

ServiceFlags good_flags() {
  ServiceFlags flags;
  flags.vip = "10.0.0.40";
  flags.backends = {"10.0.0.20", "10.0.0.30:8080,weight=3"};
  flags.port = "80";
  return flags;
}

TEST(ConfigFlagErrors, EachFlagIsCheckedAndNamed) {
  struct Case {
    std::function<void(ServiceFlags&)> change;
    std::string error;
  };
  const std::vector<Case> cases{
      {[](auto& flags) { flags.vip.reset(); },
       "--vip: not given, nor a file with -c; give --vip ADDRESS and --backend, or -c FILE"},
      {[](auto& flags) { flags.vip = ""; },
       "--vip: \"\" is not an IP address; write IPv4 as in 10.0.0.40, IPv6 as in fd00::40"},
      {[](auto& flags) { flags.vip = "web.example.com"; },
       "--vip: \"web.example.com\" is a host name, and names are not looked up; write its address"},
      {[](auto& flags) { flags.vip = "fd00::40"; },
       "--backend 10.0.0.20: 10.0.0.20 is IPv4, but the VIP fd00::40 is IPv6; use backends of the VIP's "
       "family"},
      {[](auto& flags) { flags.vip = "10.0.0.20"; },
       "--backend 10.0.0.20: 10.0.0.20 is the VIP of this service; write the address of a host: steered "
       "packets are not steered again"},
      {[](auto& flags) { flags.backends.clear(); },
       "--backend: not given; give one or more --backend ADDRESS[:PORT][,weight=N]"},
      {[](auto& flags) { flags.backends[1] = "10.0.0.30,weight=70000"; },
       "--backend \"10.0.0.30,weight=70000\": 70000 is not a whole number from 0 to 65535; write the share "
       "of new connections as such a number"},
      {[](auto& flags) { flags.backends[1] = "10.0.0.30,wieght=7"; },
       "--backend \"10.0.0.30,wieght=7\": unknown field \"wieght\"; did you mean \"weight\"?"},
      {[](auto& flags) { flags.backends[1] = "10.0.0.30,weight=7,weight=8"; },
       "--backend \"10.0.0.30,weight=7,weight=8\": \"weight\" is given twice; keep one"},
      {[](auto& flags) { flags.backends[1] = "10.0.0.30:http"; },
       "--backend \"10.0.0.30:http\": \"http\" is not a whole number from 1 to 65535; write one port, or "
       "leave it out for the one that the client asked for"},
      {[](auto& flags) { flags.backends[1] = "127.0.0.1"; },
       "--backend 127.0.0.1: 127.0.0.1 is a loopback address, which the kernel drops in routed packets; "
       "write an address of an interface of that host"},
      {[](auto& flags) { flags.backends[1] = "[fd00::1"; },
       "--backend \"[fd00::1\": \"[fd00::1\" is not a backend; write ADDRESS[:PORT][,weight=N], an IPv6 "
       "address with a port in brackets"},
      {[](auto& flags) { flags.backends[1] = ""; },
       "--backend \"\": \"\" is not an IP address; write IPv4 as in 10.0.0.40, IPv6 as in fd00::40"},
      {[](auto& flags) { flags.backends[1] = "a\nb"; },
       "--backend \"a\\x0ab\": \"a\\x0ab\" is not an IP address; write IPv4 as in 10.0.0.40, IPv6 as in "
       "fd00::40"},
      {[](auto& flags) { flags.backends[1] = "10.0.0.20:80"; },
       "--backend 10.0.0.20:80: 10.0.0.20:80 is backends[0] already; name each backend once and give it a "
       "weight"},
      {[](auto& flags) { flags.port.reset(); },
       "--backend \"10.0.0.30:8080,weight=3\": port 8080 in a service of every port; give the service the "
       "port that clients ask for"},
      {[](auto& flags) { flags.port = "65536"; },
       "--port: 65536 is not a whole number from 1 to 65535; write one port, or leave it out for all"},
      {[](auto& flags) { flags.protocol = "any"; },
       "--port: port 80 with protocol any, which has no ports; set the protocol to tcp, udp or sctp"},
      {[](auto& flags) { flags.protocol = "icmp"; },
       "--protocol: \"icmp\" is unknown; use tcp, udp, sctp or any"},
      {[](auto& flags) { flags.name = "my web"; },
       "--name: \"my web\" is not a name of a service; use 1 to 63 letters, digits, '.', '_' and '-', a "
       "letter or digit first"},
      {[](auto& flags) { flags.mode = "fast"; },
       "--mode: \"fast\" is unknown; use dnat, connection, inspect or rewrite"},
      {[](auto& flags) { flags.policy = "rondo"; },
       "--policy: \"rondo\" is unknown; `nfsteer policy list` names the policies; a file is PATH.so or "
       "PATH.py:CLASS"},
      {[](auto& flags) { flags.on_no_backend = "accept"; },
       "--on-no-backend: \"accept\" is unknown; use reject, drop or pass"},
      {[](auto& flags) { flags.affinity = "source"; },
       "--affinity: \"source\" is unknown; use none, client, or for how long, as in 3h"},
      {[](auto& flags) { flags.affinity = "0s"; },
       "--affinity: 0s is not from 1s to 24h; write for how long a client keeps its backend"},
      {[](auto& flags) { flags.health = "ping"; },
       "--health: \"ping\" is unknown; use tcp, http, udp, icmp, exec, passive or none"},
      {[](auto& flags) { flags.health = "exec"; },
       "--health: \"command\" is missing; add command: [/PATH, ARGUMENT...]"},
  };
  for (const auto& [change, error] : cases) {
    ServiceFlags flags = good_flags();
    change(flags);
    EXPECT_EQ(error_line(from_flags(flags)), error);
  }
}

TEST(ConfigFlagErrors, EngineFlagsAreCheckedAndAWrongOneChangesNothing) {
  struct Case {
    std::function<void(EngineFlags&)> change;
    std::string error;
  };
  const std::vector<Case> cases{
      {[](auto& flags) { flags.queues = "65"; },
       "--queues: 65 is not a whole number from 1 to 64; write how many, or leave it out for one per CPU"},
      {[](auto& flags) { flags.queue_base = "-1"; },
       "--queue-base: -1 is not a whole number from 0 to 65534; write the first queue number"},
      {[](auto& flags) { flags.queue_length = "many"; },
       "--queue-length: \"many\" is not a whole number from 1 to 65536; write how many packets a queue "
       "holds"},
      {[](auto& flags) { flags.seed = "0x2a"; },
       "--seed: \"0x2a\" is not a whole number from 0 to 18446744073709551615; write such a number, or leave "
       "it out for a random one"},
      {[](auto& flags) { flags.control = ""; },
       "--control: \"\" cannot be the path of a socket; use 1 to 107 printable ASCII characters"},
      {[](auto& flags) { flags.control_group = "a b"; },
       "--control-group: \"a b\" is not a name of a group; use 1 to 32 letters, digits, '.', '_' and '-', or "
       "leave it out for root's"},
      {[](auto& flags) { flags.listen = "localhost"; },
       "--listen: \"localhost\" is not an address and a port; write ADDRESS:PORT, [ADDRESS]:PORT for IPv6, "
       "or a port alone for 127.0.0.1"},
      {[](auto& flags) { flags.log_level = "loud"; },
       "--log-level: \"loud\" is unknown; use debug, info, warning or error"},
      {[](auto& flags) { flags.log_format = "xml"; }, "--log-format: \"xml\" is unknown; use text or json"},
      {[](auto& flags) { flags.user = "a b"; },
       "--user: \"a b\" is not a name of a user; use 1 to 32 letters, digits, '.', '_' and '-', or leave it "
       "out to stay who starts the engine"},
      {[](auto& flags) { flags.seccomp = "on"; }, "--seccomp: \"on\" is unknown; use enforce, log or off"},
      {[](auto& flags) { flags.on_stop = "stay"; }, "--on-stop: \"stay\" is unknown; use keep or remove"},
      {[](auto& flags) { flags.queue_base = "65533"; },
       "--queue-base: 2 workers need 6 queues from 65533 on, beyond the last number 65534; use a queue base "
       "of at most 65529"},
      {[](auto& flags) { flags.queues = "64"; },
       "--queues: 64 workers need 192 queues from 65400 on, beyond the last number 65534; use a queue base "
       "of at most 65343"},
  };
  auto config = from_flags(good_flags());
  ASSERT_TRUE(config);
  config->engine.queue_base = 65400;
  config->engine.queues = 2;
  const Config before = *config;
  for (const auto& [change, error] : cases) {
    EngineFlags flags;
    flags.queue_length = "77";
    change(flags);
    EXPECT_EQ(error_line(apply_overrides(*config, flags)), error);
    EXPECT_EQ(*config, before);
  }
}

}  // namespace
}  // namespace nfsteer::config
