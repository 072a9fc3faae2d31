// Parsing, hashing, the flow cache, rewriting.
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/flow_cache.hpp"
#include "core/packet.hpp"
#include "core/random.hpp"
#include "core/rewrite.hpp"
#include "fixtures.hpp"
#include "registry.hpp"

namespace nfsteer::micro {
namespace {

constexpr std::uint32_t kNow_s = 1000;
constexpr std::uint32_t kAgeMax_s = 4;
constexpr std::uint64_t kSeed = 0x9d5c2f6a01b3e847;

void add_parse(const Registry& registry) {
  const auto add = [&](const std::string& name, Bytes packet) {
    registry.add("parse/" + name, [packet] {
      return [packet] {
        core::ParsedPacket out;
        benchmark::DoNotOptimize(core::parse_packet(packet, packet.size(), out));
        benchmark::DoNotOptimize(out);
      };
    });
  };
  for (const Fixture& each : kFirstPackets)
    add(each.name, sample(each.sample));
  add("udp_v6_extensions", sample("UDP behind every extension over IPv6"));
}

void add_hash(const Registry& registry) {
  for (const Fixture& each : {kFirstPackets[0], kFirstPackets[1]}) {
    registry.add("flow_hash/" + each.name, [packet = sample(each.sample)] {
      return [flow = parsed(packet).flow]() mutable {
        ++flow.source_port;
        benchmark::DoNotOptimize(flow.hash(kSeed));
      };
    });
  }
}

// A cache of which a quarter is filled, and hashes that are in it or not.
struct CacheFixture {
  static constexpr std::size_t kHashes = 1024;  // a power of two

  CacheFixture() : cache(4 * kHashes) {
    core::Random random(1);
    for (std::size_t index = 0; index < kHashes; ++index) {
      known[index] = random.next();
      unknown[index] = random.next();
      cache.store(known[index], static_cast<std::uint32_t>(index), kNow_s);
    }
  }

  core::FlowCache cache;
  std::array<std::uint64_t, kHashes> known{};
  std::array<std::uint64_t, kHashes> unknown{};
  std::size_t next = 0;

  std::uint64_t one_of(const std::array<std::uint64_t, kHashes>& hashes) {
    return hashes[next++ & (kHashes - 1)];
  }
};

void add_cache(const Registry& registry) {
  registry.add("flow_cache/hit", [] {
    return [fixture = std::make_unique<CacheFixture>()] {
      benchmark::DoNotOptimize(fixture->cache.find(fixture->one_of(fixture->known), kNow_s, kAgeMax_s));
    };
  });
  registry.add("flow_cache/miss", [] {
    return [fixture = std::make_unique<CacheFixture>()] {
      benchmark::DoNotOptimize(fixture->cache.find(fixture->one_of(fixture->unknown), kNow_s, kAgeMax_s));
    };
  });
  registry.add("flow_cache/store", [] {
    return [fixture = std::make_unique<CacheFixture>()] {
      fixture->cache.store(fixture->one_of(fixture->unknown), 1, kNow_s);
      benchmark::ClobberMemory();
    };
  });
}

// From one backend to the other and back, so that every call has something to change.
void add_rewrite(const Registry& registry) {
  for (const std::size_t length : {64U, 512U, 1500U, 65535U}) {
    for (const auto& [kind, state] : {std::pair{"incremental", core::ChecksumState::complete},
                                      std::pair{"full", core::ChecksumState::partial}}) {
      registry.add(
          "rewrite/" + std::string(kind) + "/" + std::to_string(length), [length, checksum_state = state] {
            return [packet = tcp_data(length), headers = parsed(tcp_data(length)),
                    to = backends(core::Family::ipv4, 2), turn = 0U, checksum_state]() mutable {
              benchmark::DoNotOptimize(
                  core::rewrite_destination(packet, headers, to[++turn % 2].address, 0, checksum_state));
            };
          });
    }
  }
}

}  // namespace

void add_core(const Registry& registry) {
  add_parse(registry);
  add_hash(registry);
  add_cache(registry);
  add_rewrite(registry);
}

}  // namespace nfsteer::micro
