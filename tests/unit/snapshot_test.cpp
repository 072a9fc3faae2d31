#include "core/snapshot.hpp"

#include <gtest/gtest.h>

namespace nfsteer::core {
namespace {

IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}

SteeredService service(const char* name, const char* vip, Protocol protocol, std::uint16_t port,
                       std::vector<std::uint32_t> backend_slots = {}) {
  SteeredService steered;
  steered.service.name = name;
  steered.service.vip = address(vip);
  steered.service.protocol = protocol;
  steered.service.port = port;
  steered.service.backends.resize(backend_slots.size());
  steered.backend_slots = std::move(backend_slots);
  return steered;
}

FlowKey flow_to(const char* destination, std::uint8_t protocol, std::uint16_t port) {
  FlowKey flow;
  const IpAddress to = address(destination);
  std::ranges::copy(to.bytes(), flow.destination.begin());
  flow.family = to.family();
  flow.protocol = protocol;
  flow.destination_port = port;
  return flow;
}

std::string found(const Snapshot& snapshot, const FlowKey& flow) {
  const SteeredService* steered = snapshot.find(flow);
  return steered == nullptr ? "nothing" : steered->service.name;
}

TEST(Snapshot, TheMostSpecificServiceOfAVipWins) {
  std::vector<SteeredService> services;
  services.push_back(service("any", "10.0.0.40", Protocol::any, 0));
  services.push_back(service("tcp", "10.0.0.40", Protocol::tcp, 0));
  services.push_back(service("web", "10.0.0.40", Protocol::tcp, 80));
  services.push_back(service("dns", "10.0.0.41", Protocol::udp, 53));
  services.push_back(service("six", "fd00::40", Protocol::any, 0));
  const Snapshot snapshot(std::move(services));

  struct Case {
    const char* destination;
    std::uint8_t protocol;
    std::uint16_t port;
    const char* expected;
  };
  for (const Case& each : {Case{"10.0.0.40", 6, 80, "web"}, Case{"10.0.0.40", 6, 81, "tcp"},
                           Case{"10.0.0.40", 17, 80, "any"}, Case{"10.0.0.40", 1, 0, "any"},
                           Case{"10.0.0.41", 17, 53, "dns"}, Case{"10.0.0.41", 17, 54, "nothing"},
                           Case{"10.0.0.41", 6, 53, "nothing"}, Case{"10.0.0.42", 6, 80, "nothing"},
                           Case{"fd00::40", 58, 0, "six"}, Case{"fd00::41", 58, 0, "nothing"}})
    EXPECT_EQ(found(snapshot, flow_to(each.destination, each.protocol, each.port)), each.expected)
        << each.destination << " protocol " << int{each.protocol} << " port " << each.port;
}

TEST(Snapshot, AnIpv4AddressIsNotTheIpv6AddressOfTheSameBytes) {
  std::vector<SteeredService> services;
  services.push_back(service("four", "10.0.0.40", Protocol::any, 0));
  const Snapshot snapshot(std::move(services));
  EXPECT_EQ(found(snapshot, flow_to("a00:28::", 6, 80)), "nothing");
}

TEST(Snapshot, FindsEachOfThousands) {
  std::vector<SteeredService> services;
  for (unsigned index = 0; index < 5000; ++index) {
    const std::string vip = "10.1." + std::to_string(index / 50) + "." + std::to_string(index % 50);
    services.push_back(service(std::to_string(index).c_str(), vip.c_str(), Protocol::tcp,
                               static_cast<std::uint16_t>(1 + index)));
  }
  const Snapshot snapshot(std::move(services));
  for (unsigned index = 0; index < 5000; ++index) {
    const std::string vip = "10.1." + std::to_string(index / 50) + "." + std::to_string(index % 50);
    EXPECT_EQ(found(snapshot, flow_to(vip.c_str(), 6, static_cast<std::uint16_t>(1 + index))),
              std::to_string(index));
  }
}

TEST(Snapshot, KnowsWhichBackendHasASlot) {
  std::vector<SteeredService> services;
  services.push_back(service("one", "10.0.0.40", Protocol::any, 0, {4, 0}));
  services.push_back(service("two", "10.0.0.41", Protocol::any, 0, {2}));
  const Snapshot snapshot(std::move(services));
  EXPECT_EQ(snapshot.place_of(0).service->service.name, "one");
  EXPECT_EQ(snapshot.place_of(0).index, 1U);
  EXPECT_EQ(snapshot.place_of(2).service->service.name, "two");
  for (const std::uint32_t slot : {1U, 3U, 5U, 1000000U})
    EXPECT_EQ(snapshot.place_of(slot).service, nullptr) << slot;
}

}  // namespace
}  // namespace nfsteer::core
