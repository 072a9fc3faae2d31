#include "core/steering.hpp"

#include <array>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/affinity_table.hpp"
#include "packet_builder.hpp"
#include "policy/catalogue.hpp"
#include "policy/weighted_random.hpp"

namespace {

std::size_t allocations = 0;  // of this thread's tests; the steering decision is single-threaded

}  // namespace

// Out of line: g++ would otherwise inline one of a pair and warn that malloc and delete do not match.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace nfsteer::core {
namespace {

using test::Bytes;
using test::PacketSpec;

constexpr std::uint32_t kNow_s = 1000;

class NoBackendPolicy final : public Picker {
 public:
  std::optional<std::uint32_t> pick(const FlowKey&, PickContext&) const noexcept override {
    return std::nullopt;
  }
};

class OutOfRangePolicy final : public Picker {
 public:
  explicit OutOfRangePolicy(std::size_t backends) : backends_(static_cast<std::uint32_t>(backends)) {}
  std::optional<std::uint32_t> pick(const FlowKey&, PickContext&) const noexcept override {
    return backends_;
  }

 private:
  std::uint32_t backends_;
};

class SteeringTest : public testing::Test {
 protected:
  SteeringTest() {
    counters.backends.grow(16);
    counters.services.grow(16);
  }

  static SteeredService service_of(Mode mode, const std::vector<Backend>& backends, std::uint16_t port = 0) {
    SteeredService steered;
    steered.service.name = "service";
    steered.service.vip = IpAddress::parse("10.0.0.40").value();
    steered.service.mode = mode;
    steered.service.port = port;
    if (port != 0) steered.service.protocol = Protocol::tcp;
    steered.service.backends = backends;
    steered.picker = std::make_shared<policy::WeightedRandom>(policy::BuildInput{backends});
    for (std::uint32_t slot = 0; slot < backends.size(); ++slot)
      steered.backend_slots.push_back(slot);
    return steered;
  }
  static std::vector<Backend> two_backends() {
    return {{IpAddress::parse("10.0.0.20").value(), 0, 1}, {IpAddress::parse("10.0.0.30").value(), 0, 3}};
  }
  static Snapshot snapshot_of(SteeredService steered) {
    std::vector<SteeredService> services;
    services.push_back(std::move(steered));
    return Snapshot(std::move(services));
  }
  static PacketSpec udp_from(std::uint16_t source_port) {
    PacketSpec spec;
    spec.protocol = test::kUdp;
    spec.source_port = source_port;
    spec.payload = Bytes(20, 0x61);
    return spec;
  }

  Verdict steer(const Snapshot& snapshot, QueueGroup group, Bytes& packet, std::uint32_t now_s = kNow_s) {
    return steering.steer(snapshot, group, {packet, static_cast<std::uint32_t>(packet.size()), false}, now_s);
  }
  std::uint64_t count(Event event) const { return counters[event].value(); }
  // A service whose clients are kept with their backends for ten seconds.
  SteeredService affine(Mode mode, const std::vector<Backend>& backends, std::uint8_t ipv4_prefix = 32) {
    SteeredService steered = service_of(mode, backends);
    steered.service.affinity = Affinity{std::chrono::seconds(10), ipv4_prefix, 128};
    steered.affinity = &affinity;
    return steered;
  }
  // The backend that a new connection of `client` goes to.
  std::string backend_of(const Snapshot& snapshot, const std::string& client, std::uint32_t now_s = kNow_s) {
    PacketSpec spec = udp_from(++last_port);
    spec.source = client;
    Bytes packet = build(spec);
    if (steer(snapshot, QueueGroup::first, packet, now_s) != Verdict::accept_rewritten) return "none";
    for (const char* backend : {"10.0.0.20", "10.0.0.30", "10.0.0.31"})
      if (packet == sent_to(spec, backend)) return backend;
    return "other";
  }
  // The packet as it would be had the client sent it to `destination`.
  static Bytes sent_to(PacketSpec spec, const std::string& destination) {
    spec.destination = destination;
    return build(spec);
  }

  WorkerCounters counters;
  AffinityTable affinity{3};
  Steering steering{Random(1), 2, counters};
  std::uint16_t last_port = 1000;
};

TEST_F(SteeringTest, AFirstPacketIsRewrittenToAPickedBackend) {
  const Snapshot snapshot = snapshot_of(service_of(Mode::connection, two_backends()));
  std::map<std::string, int> taken;
  for (std::uint16_t port = 1; port <= 400; ++port) {
    Bytes packet = build(udp_from(port));
    ASSERT_EQ(steer(snapshot, QueueGroup::first, packet), Verdict::accept_rewritten);
    for (const char* backend : {"10.0.0.20", "10.0.0.30"})
      taken[backend] += packet == sent_to(udp_from(port), backend);
  }
  EXPECT_EQ(taken["10.0.0.20"] + taken["10.0.0.30"], 400);
  EXPECT_EQ(static_cast<std::uint64_t>(taken["10.0.0.20"]), counters.backends[0].picks.value());
  EXPECT_EQ(static_cast<std::uint64_t>(taken["10.0.0.30"]), counters.backends[1].picks.value());
  EXPECT_GT(taken["10.0.0.30"], taken["10.0.0.20"]);
  EXPECT_EQ(count(Event::packets), 400U);
  EXPECT_EQ(count(Event::rewritten), 400U);
}

TEST_F(SteeringTest, PacketsOfOneFlowThatQueueTogetherGoToOneBackend) {
  const Snapshot snapshot = snapshot_of(service_of(Mode::connection, two_backends()));
  for (std::uint16_t port = 1; port <= 50; ++port) {
    Bytes first = build(udp_from(port));
    steer(snapshot, QueueGroup::first, first);
    for (int repeat = 0; repeat < 5; ++repeat) {
      Bytes next = build(udp_from(port));
      ASSERT_EQ(steer(snapshot, QueueGroup::first, next), Verdict::accept_rewritten);
      EXPECT_EQ(next, first);
    }
  }
  EXPECT_EQ(counters.backends[0].picks.value() + counters.backends[1].picks.value(), 50U);
  EXPECT_EQ(count(Event::cache_hits), 250U);
}

TEST_F(SteeringTest, APinLastsSecondsAndNoLonger) {
  const Snapshot snapshot = snapshot_of(service_of(Mode::connection, two_backends()));
  Bytes packet = build(udp_from(1));
  steer(snapshot, QueueGroup::first, packet, kNow_s);
  packet = build(udp_from(1));
  steer(snapshot, QueueGroup::first, packet, kNow_s + Steering::kPinned_s);
  EXPECT_EQ(count(Event::cache_hits), 1U);
  packet = build(udp_from(1));
  steer(snapshot, QueueGroup::first, packet, kNow_s + Steering::kPinned_s + 1);
  EXPECT_EQ(count(Event::cache_hits), 1U);
}

TEST_F(SteeringTest, APinDoesNotOutliveItsBackend) {
  std::vector<Backend> backends = two_backends();
  backends[0].weight = 0;
  const Snapshot before = snapshot_of(service_of(Mode::connection, backends));
  Bytes packet = build(udp_from(1));
  steer(before, QueueGroup::first, packet);
  EXPECT_EQ(packet, sent_to(udp_from(1), "10.0.0.30"));

  std::swap(backends[0].weight, backends[1].weight);
  const Snapshot after = snapshot_of(service_of(Mode::connection, backends));
  packet = build(udp_from(1));
  steer(after, QueueGroup::first, packet);
  EXPECT_EQ(packet, sent_to(udp_from(1), "10.0.0.20"));
}

TEST_F(SteeringTest, TheBackendsPortIsWritten) {
  const std::vector<Backend> backends{{IpAddress::parse("10.0.0.20").value(), 8080, 1}};
  const Snapshot snapshot = snapshot_of(service_of(Mode::connection, backends, 80));
  PacketSpec spec;
  Bytes packet = build(spec);
  EXPECT_EQ(steer(snapshot, QueueGroup::first, packet), Verdict::accept_rewritten);
  spec.destination_port = 8080;
  EXPECT_EQ(packet, sent_to(spec, "10.0.0.20"));
}

TEST_F(SteeringTest, PacketsThatAreNotSteeredPassUnchangedAndAreCounted) {
  const Snapshot snapshot = snapshot_of(service_of(Mode::connection, two_backends()));
  PacketSpec elsewhere;
  elsewhere.destination = "10.0.0.99";
  PacketSpec source_routed;
  source_routed.ip_options = {0x83, 0x07, 0x04, 10, 0, 0, 1, 0};
  Bytes cut = build(PacketSpec{});
  cut.resize(12);
  struct Case {
    Bytes packet;
    Event event;
  };
  for (const Case& each :
       {Case{build(elsewhere), Event::unmatched}, Case{build(source_routed), Event::unsupported},
        Case{cut, Event::malformed}, Case{{}, Event::malformed}}) {
    Bytes packet = each.packet;
    const std::uint64_t before = count(each.event);
    EXPECT_EQ(steer(snapshot, QueueGroup::first, packet), Verdict::accept);
    EXPECT_EQ(packet, each.packet);
    EXPECT_EQ(count(each.event), before + 1);
  }
  EXPECT_EQ(count(Event::accepted), 4U);
}

TEST_F(SteeringTest, WithoutABackendThePacketFollowsTheServicesChoice) {
  for (const auto& [choice, expected] :
       {std::pair{OnNoBackend::drop, Verdict::drop}, std::pair{OnNoBackend::reject, Verdict::accept},
        std::pair{OnNoBackend::pass, Verdict::accept}}) {
    SteeredService steered = service_of(Mode::connection, two_backends());
    steered.picker = std::make_shared<NoBackendPolicy>();
    steered.service.on_no_backend = choice;
    const Snapshot snapshot = snapshot_of(std::move(steered));
    Bytes packet = build(PacketSpec{});
    const Bytes original = packet;
    EXPECT_EQ(steer(snapshot, QueueGroup::first, packet), expected);
    EXPECT_EQ(packet, original);
  }
  EXPECT_EQ(count(Event::no_backend), 3U);
  EXPECT_EQ(counters.services[0].no_backend.value(), 3U);
}

TEST_F(SteeringTest, AnIndexOutOfRangeLeavesThePacketToTheLadder) {
  SteeredService steered = service_of(Mode::connection, two_backends());
  steered.picker = std::make_shared<OutOfRangePolicy>(steered.service.backends.size());
  const Snapshot snapshot = snapshot_of(std::move(steered));
  Bytes packet = build(PacketSpec{});
  const Bytes original = packet;
  EXPECT_EQ(steer(snapshot, QueueGroup::first, packet), Verdict::accept);
  EXPECT_EQ(packet, original);
}

TEST_F(SteeringTest, LaterPacketsAreInspectedOrRewrittenToTheFlowsBackend) {
  for (const Mode mode : {Mode::inspect, Mode::rewrite}) {
    const Snapshot snapshot = snapshot_of(service_of(mode, two_backends()));
    const auto group = mode == Mode::inspect ? QueueGroup::inspect : QueueGroup::rewrite;
    const PacketSpec spec = udp_from(mode == Mode::inspect ? 10 : 11);
    Bytes first = build(spec);
    steer(snapshot, QueueGroup::first, first);
    Bytes later = build(spec);
    const Bytes original = later;
    // Long after the pin of the first packets has gone.
    const Verdict verdict = steer(snapshot, group, later, kNow_s + 3600);
    EXPECT_EQ(verdict, mode == Mode::inspect ? Verdict::accept : Verdict::accept_rewritten);
    EXPECT_EQ(later, mode == Mode::inspect ? original : first);
  }
  EXPECT_EQ(counters.backends[0].packets.value() + counters.backends[1].packets.value(), 4U);
}

TEST_F(SteeringTest, LaterPacketsOfUnknownFlowsPassForTheKernelToTranslate) {
  const Snapshot snapshot = snapshot_of(service_of(Mode::rewrite, two_backends()));
  Bytes packet = build(PacketSpec{});
  const Bytes original = packet;
  EXPECT_EQ(steer(snapshot, QueueGroup::rewrite, packet), Verdict::accept);
  EXPECT_EQ(packet, original);
  EXPECT_EQ(count(Event::cache_misses), 1U);
}

TEST_F(SteeringTest, ATruncatedCopyNeverGoesBack) {
  const Snapshot snapshot = snapshot_of(service_of(Mode::connection, two_backends()));
  PacketSpec spec = udp_from(1);
  spec.payload = Bytes(1000, 1);
  Bytes packet = build(spec);
  const auto whole = static_cast<std::uint32_t>(packet.size());
  packet.resize(128);
  EXPECT_EQ(steering.steer(snapshot, QueueGroup::first, {packet, whole, false}, kNow_s), Verdict::accept);
}

TEST_F(SteeringTest, ASwitchToDnatLeavesQueuedPacketsToTheLadder) {
  const Snapshot snapshot = snapshot_of(service_of(Mode::dnat, two_backends()));
  Bytes packet = build(PacketSpec{});
  EXPECT_EQ(steer(snapshot, QueueGroup::first, packet), Verdict::accept);
}

TEST_F(SteeringTest, AClientKeepsItsBackendInEveryModeThatQueues) {
  for (const Mode mode : {Mode::connection, Mode::inspect, Mode::rewrite}) {
    const Snapshot snapshot = snapshot_of(affine(mode, two_backends()));
    std::map<std::string, int> taken;
    for (int client = 1; client <= 200; ++client) {
      const std::string address = "10.2.0." + std::to_string(client);
      const std::string first = backend_of(snapshot, address);
      for (int again = 0; again < 5; ++again)
        ASSERT_EQ(backend_of(snapshot, address), first);
      ++taken[first];
    }
    EXPECT_NEAR(taken["10.0.0.30"], 150, 40) << "the policy places new clients by weight";
  }
  EXPECT_EQ(count(Event::affinity_hits), 3600U - 200U) << "one table for all modes of the service";
  EXPECT_EQ(counters.backends[0].picks.value() + counters.backends[1].picks.value(), 3600U);
}

TEST_F(SteeringTest, AffinityEndsAfterItsTimeWithoutANewConnection) {
  const Snapshot snapshot = snapshot_of(affine(Mode::connection, two_backends()));
  int moved = 0;
  for (int client = 1; client <= 200; ++client) {
    const std::string address = "10.2.0." + std::to_string(client);
    const std::string first = backend_of(snapshot, address, kNow_s);
    EXPECT_EQ(backend_of(snapshot, address, kNow_s + 10), first);
    EXPECT_EQ(backend_of(snapshot, address, kNow_s + 20), first) << "each connection begins the time anew";
    moved += backend_of(snapshot, address, kNow_s + 31) != first;
  }
  EXPECT_NEAR(moved, 200 * 2 * 0.25 * 0.75, 40);
}

TEST_F(SteeringTest, ClientsOfABackendThatTakesNothingMoveOnceAndStay) {
  const Snapshot before = snapshot_of(affine(Mode::connection, two_backends()));
  std::vector<Backend> backends = two_backends();
  backends[1].weight = 0;
  const Snapshot without = snapshot_of(affine(Mode::connection, backends));
  for (int client = 1; client <= 50; ++client) {
    const std::string address = "10.2.0." + std::to_string(client);
    backend_of(before, address);
    EXPECT_EQ(backend_of(without, address), "10.0.0.20");
    EXPECT_EQ(backend_of(before, address), "10.0.0.20") << "nobody is sent back";
  }
}

TEST_F(SteeringTest, ClientsOfOnePrefixShareABackend) {
  const Snapshot snapshot = snapshot_of(affine(Mode::connection, two_backends(), 24));
  std::map<std::string, int> taken;
  for (int group = 0; group < 50; ++group) {
    const std::string prefix = "10.2." + std::to_string(group) + '.';
    const std::string first = backend_of(snapshot, prefix + "1");
    ++taken[first];
    for (const char* last : {"2", "77", "254"})
      EXPECT_EQ(backend_of(snapshot, prefix + last), first);
  }
  EXPECT_EQ(taken.size(), 2U);
}

TEST_F(SteeringTest, APlaceOfAnotherServiceIsNobodysAffinity) {
  SteeredService other = affine(Mode::connection, two_backends());
  other.service.vip = IpAddress::parse("10.0.0.41").value();
  SteeredService own = affine(Mode::connection, {{IpAddress::parse("10.0.0.31").value(), 0, 1}});
  own.backend_slots = {5};
  own.slot = 1;
  affinity.place(affinity.hash_of(1, *own.service.affinity, Family::ipv4, {10, 2, 0, 1}), std::nullopt,
                 {0, kNow_s});
  std::vector<SteeredService> services;
  services.push_back(std::move(other));
  services.push_back(std::move(own));
  const Snapshot snapshot(std::move(services));
  EXPECT_EQ(backend_of(snapshot, "10.2.0.1"), "10.0.0.31");
  EXPECT_EQ(count(Event::affinity_hits), 0U);
}

TEST_F(SteeringTest, TwoWorkersThatPlaceOneClientAgree) {
  Steering second{Random(9), 4, counters};
  const Snapshot snapshot = snapshot_of(affine(Mode::connection, two_backends()));
  for (int client = 1; client <= 100; ++client) {
    PacketSpec spec = udp_from(1);
    spec.source = "10.2.0." + std::to_string(client);
    Bytes one = build(spec);
    Bytes other = build(spec);
    steer(snapshot, QueueGroup::first, one);
    second.steer(snapshot, QueueGroup::first, {other, static_cast<std::uint32_t>(other.size()), false},
                 kNow_s);
    EXPECT_EQ(one, other);
  }
}

// Conntrack tells of connections later than a burst of them is decided.
TEST_F(SteeringTest, ABurstIsSpreadBeforeAnyOfItIsKnown) {
  std::array<LiveBackend, 2> states;
  SteeredService steered = service_of(Mode::connection, two_backends());
  steered.live = {&states[0], &states[1]};
  steered.picker =
      policy::build({"least-connections", {}}, policy::BuildInput{steered.service.backends, steered.live});
  const Snapshot snapshot = snapshot_of(std::move(steered));
  for (std::uint16_t port = 1000; port < 1100; ++port) {
    Bytes packet = build(udp_from(port));
    ASSERT_EQ(steer(snapshot, QueueGroup::first, packet), Verdict::accept_rewritten);
  }
  EXPECT_EQ(states[0].pending(), 50U);
  EXPECT_EQ(states[1].pending(), 50U);
}

TEST_F(SteeringTest, NoPacketAllocatesMemory) {
  std::vector<Bytes> packets;
  for (const PacketSpec& spec : test::valid_packets()) {
    PacketSpec to_vip = spec;
    if (!spec.is_v6()) to_vip.destination = "10.0.0.40";
    packets.push_back(build(to_vip));
    packets.push_back(build(spec));
    packets.back().resize(packets.back().size() / 2);
  }
  for (const Mode mode : {Mode::connection, Mode::inspect, Mode::rewrite}) {
    const Snapshot snapshot =
        snapshot_of(mode == Mode::inspect ? affine(mode, two_backends()) : service_of(mode, two_backends()));
    const std::size_t before = allocations;
    for (Bytes& packet : packets)
      for (const QueueGroup group : kQueueGroups)
        steer(snapshot, group, packet);
    EXPECT_EQ(allocations, before) << to_string(mode);
  }
  EXPECT_GT(count(Event::rewritten), 20U);
}

}  // namespace
}  // namespace nfsteer::core
