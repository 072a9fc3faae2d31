#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "core/rewrite.hpp"
#include "packet_builder.hpp"

namespace nfsteer::core {
namespace {

using test::Bytes;
using test::Checksums;
using test::PacketSpec;

IpAddress address(const std::string& text) {
  return IpAddress::parse(text).value();
}

std::string other_address(const PacketSpec& spec) {
  return spec.is_v6() ? "fd00:1:2:3:4:5:6:20" : "10.9.8.20";
}

// Parses and rewrites `bytes`, which may be the head of a packet of `full_length` bytes.
RewriteOutcome rewrite(Bytes& bytes, std::size_t full_length, const std::string& to, std::uint16_t port,
                       ChecksumState state) {
  ParsedPacket parsed;
  EXPECT_EQ(parse_packet(bytes, full_length, parsed), ParseOutcome::ok) << to_string(parsed.fault);
  return rewrite_destination(bytes, parsed, address(to), port, state);
}

RewriteOutcome rewrite(Bytes& bytes, const std::string& to, std::uint16_t port,
                       ChecksumState state = ChecksumState::complete) {
  return rewrite(bytes, bytes.size(), to, port, state);
}

// The same packet, had the client sent it to that place.
Bytes sent_to(PacketSpec spec, const std::string& to, std::uint16_t port, Checksums checksums) {
  spec.destination = to;
  if (port != 0) spec.destination_port = port;
  spec.checksums = spec.checksums == Checksums::none ? Checksums::none : checksums;
  return test::build(spec);
}

// The transport checksum is there, covers the destination or the port, and lies where partial ones do.
bool has_known_checksum(const PacketSpec& spec) {
  const bool is_covered = spec.protocol == test::kTcp || spec.protocol == test::kUdp ||
                          spec.protocol == test::kUdpLite || spec.protocol == test::kDccp ||
                          spec.protocol == test::kSctp || (spec.protocol == test::kIcmpv6 && spec.is_v6());
  return is_covered && !spec.fragment && spec.checksums != Checksums::none;
}

// The whole packet is needed for its new checksum, which a fragment cannot give.
bool is_impossible(const PacketSpec& spec, std::uint16_t port) {
  return spec.protocol == test::kSctp && spec.fragment && spec.fragment->offset == 0 && port != 0;
}

struct Sample {
  const char* name;
  const char* before;
  ChecksumState state;
  const char* to;
  std::uint16_t port;
  const char* after;
};

// Sent by Linux, seen behind a device with and without checksum offload.
const std::vector<Sample>& samples() {
  static const std::vector<Sample> all{
      {"TCP SYN",
       "4500003c938040004006930a0a00000a0a0000289c4000504d46a83e00000000a002faf041700000"
       "020405b40402080a1faf45a6000000000103030a",
       ChecksumState::complete, "10.0.0.20", 8080,
       "4500003c938040004006931e0a00000a0a0000149c401f904d46a83e00000000a002faf022440000"
       "020405b40402080a1faf45a6000000000103030a"},
      {"UDP", "45000021257e40004011011d0a00000a0a0000289c400035000dff447175657279", ChecksumState::complete,
       "10.0.0.30", 5353, "45000021257e4000401101270a00000a0a00001e9c4014e9000dea9a7175657279"},
      {"UDP-Lite with 12 bytes covered",
       "4500002a943d4000408891dd0a00000a0a0000289c400035000c6bd8706172746c7920636f766572"
       "6564",
       ChecksumState::complete, "10.0.0.20", 54,
       "4500002a943d4000408891f10a00000a0a0000149c400036000c6beb706172746c7920636f766572"
       "6564"},
      {"ICMP echo",
       "450000549d2b40004001894c0a00000a0a0000280800c21c1c230001537f036b00000000ff010500"
       "00000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30313233"
       "34353637",
       ChecksumState::complete, "10.0.0.20", 0,
       "450000549d2b4000400189600a00000a0a0000140800c21c1c230001537f036b00000000ff010500"
       "00000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30313233"
       "34353637"},
      {"TCP SYN over IPv6",
       "600bffab00280640fd000000000000000000000000000010fd000000000000000000000000000040"
       "9c400050b094e45a00000000a002fd20a4180000020405a00402080a30744a92000000000103030a",
       ChecksumState::complete, "fd00::20", 8080,
       "600bffab00280640fd000000000000000000000000000010fd000000000000000000000000000020"
       "9c401f90b094e45a00000000a002fd2084f80000020405a00402080a30744a92000000000103030a"},
      {"UDP over IPv6",
       "600a91a8000d1140fd000000000000000000000000000010fd000000000000000000000000000040"
       "9c400035000d19257175657279",
       ChecksumState::complete, "fd00:1:2:3:4:5:6:7", 0,
       "600a91a8000d1140fd000000000000000000000000000010fd000001000200030004000500060007"
       "9c400035000d19497175657279"},
      {"ICMPv6 echo",
       "60056cf000403a40fd000000000000000000000000000010fd000000000000000000000000000040"
       "8000b7471c240001567f036b000000009009090000000000101112131415161718191a1b1c1d1e1f"
       "202122232425262728292a2b2c2d2e2f3031323334353637",
       ChecksumState::complete, "fd00::20", 0,
       "60056cf000403a40fd000000000000000000000000000010fd000000000000000000000000000020"
       "8000b7671c240001567f036b000000009009090000000000101112131415161718191a1b1c1d1e1f"
       "202122232425262728292a2b2c2d2e2f3031323334353637"},
      {"TCP",
       "4500003cd1e34000400654a70a00000a0a0000289c4000503a8e76fc00000000a002ffd714600000"
       "0204ffd70402080a1faef722000000000103030a",
       ChecksumState::partial, "10.0.0.20", 8080,
       "4500003cd1e34000400654bb0a00000a0a0000149c401f903a8e76fc00000000a002ffd7b5b70000"
       "0204ffd70402080a1faef722000000000103030a"},
      {"UDP", "45000021fc94400040112a060a00000a0a0000289c400035000d14507175657279", ChecksumState::partial,
       "10.0.0.30", 0, "45000021fc94400040112a100a00000a0a00001e9c400035000dff4e7175657279"},
      {"TCP over IPv6",
       "6008f28200280640fd000000000000000000000000000010fd000000000000000000000000000040"
       "9c4000509c4e3bfa00000000a002ffc4fa7f00000204ffc40402080a3073f587000000000103030a",
       ChecksumState::partial, "fd00::20", 8080,
       "6008f28200280640fd000000000000000000000000000010fd000000000000000000000000000020"
       "9c401f909c4e3bfa00000000a002ffc499e100000204ffc40402080a3073f587000000000103030a"},
      {"UDP over IPv6",
       "600a91a8000d1140fd000000000000000000000000000010fd000000000000000000000000000040"
       "9c400035000dfa6f7175657279",
       ChecksumState::partial, "fd00::30", 0,
       "600a91a8000d1140fd000000000000000000000000000010fd000000000000000000000000000030"
       "9c400035000d19357175657279"},
  };
  return all;
}

TEST(RewriteDestination, PacketsThatTheKernelMade) {
  for (const Sample& sample : samples()) {
    Bytes bytes = test::bytes_of(sample.before);
    EXPECT_EQ(rewrite(bytes, sample.to, sample.port, sample.state), RewriteOutcome::rewritten) << sample.name;
    EXPECT_EQ(test::hex_of(bytes), sample.after) << sample.name;
  }
}

TEST(RewriteDestination, EqualsAPacketSentThereInTheFirstPlace) {
  for (const PacketSpec& spec : test::valid_packets()) {
    for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{8080}}) {
      if (is_impossible(spec, port)) continue;
      SCOPED_TRACE(spec.name + (port != 0 ? ", other port" : ", same port"));
      Bytes bytes = test::build(spec);
      EXPECT_EQ(rewrite(bytes, other_address(spec), port), RewriteOutcome::rewritten);
      ASSERT_EQ(bytes, sent_to(spec, other_address(spec), port, Checksums::complete));
    }
  }
}

TEST(RewriteDestination, CompletesPartialChecksums) {
  for (PacketSpec spec : test::valid_packets()) {
    for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{8080}}) {
      if (!has_known_checksum(spec)) continue;
      SCOPED_TRACE(spec.name + (port != 0 ? ", other port" : ", same port"));
      spec.checksums = Checksums::partial;
      Bytes bytes = test::build(spec);
      EXPECT_EQ(rewrite(bytes, other_address(spec), port, ChecksumState::partial), RewriteOutcome::rewritten);
      ASSERT_EQ(bytes, sent_to(spec, other_address(spec), port, Checksums::complete));
    }
  }
}

TEST(RewriteDestination, LeavesPacketsWhosePartialChecksumIsNotKnown) {
  for (const PacketSpec& spec : test::valid_packets()) {
    if (has_known_checksum(spec)) continue;
    const Bytes before = test::build(spec);
    Bytes bytes = before;
    EXPECT_EQ(rewrite(bytes, other_address(spec), 0, ChecksumState::partial), RewriteOutcome::unsupported)
        << spec.name;
    EXPECT_EQ(bytes, before) << spec.name;
  }
}

TEST(RewriteDestination, LeavesPacketsOfAnotherFamily) {
  for (const PacketSpec& spec : test::valid_packets()) {
    const Bytes before = test::build(spec);
    Bytes bytes = before;
    EXPECT_EQ(rewrite(bytes, spec.is_v6() ? "10.0.0.20" : "fd00::20", 8080), RewriteOutcome::unsupported)
        << spec.name;
    EXPECT_EQ(bytes, before) << spec.name;
  }
}

TEST(RewriteDestination, SameDestinationChangesNothing) {
  for (const PacketSpec& spec : test::valid_packets()) {
    for (const ChecksumState state : {ChecksumState::complete, ChecksumState::partial}) {
      const Bytes before = test::build(spec);
      Bytes bytes = before;
      EXPECT_EQ(rewrite(bytes, spec.destination, 0, state), RewriteOutcome::unchanged) << spec.name;
      EXPECT_EQ(rewrite(bytes, spec.destination, spec.destination_port, state), RewriteOutcome::unchanged)
          << spec.name;
      EXPECT_EQ(bytes, before) << spec.name;
    }
  }
}

TEST(RewriteDestination, PortAloneMayChange) {
  for (const PacketSpec& spec : test::valid_packets()) {
    if (!spec.has_ports() || is_impossible(spec, 8080)) continue;
    Bytes bytes = test::build(spec);
    EXPECT_EQ(rewrite(bytes, spec.destination, 8080), RewriteOutcome::rewritten) << spec.name;
    EXPECT_EQ(bytes, sent_to(spec, spec.destination, 8080, Checksums::complete)) << spec.name;
  }
}

TEST(RewriteDestination, HeadsAreUpdatedButNotComputedAnew) {
  for (const PacketSpec& spec : test::valid_packets()) {
    const Bytes whole = test::build(spec);
    const Bytes whole_after = sent_to(spec, other_address(spec), 8080, Checksums::complete);
    const auto headers = static_cast<std::ptrdiff_t>(std::min(spec.l4_offset() + 20, whole.size()));
    const Bytes head(whole.begin(), whole.begin() + headers);
    const bool is_whole = head.size() + spec.padding.size() >= whole.size();

    Bytes bytes = head;
    if (spec.protocol == test::kSctp && spec.has_ports() && !is_whole) {
      EXPECT_EQ(rewrite(bytes, whole.size(), other_address(spec), 8080, ChecksumState::complete),
                RewriteOutcome::not_whole)
          << spec.name;
      EXPECT_EQ(bytes, head) << spec.name;
    } else {
      EXPECT_EQ(rewrite(bytes, whole.size(), other_address(spec), 8080, ChecksumState::complete),
                RewriteOutcome::rewritten)
          << spec.name;
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), whole_after.begin())) << spec.name;
    }

    if (!has_known_checksum(spec) || is_whole) continue;
    bytes = head;
    EXPECT_EQ(rewrite(bytes, whole.size(), other_address(spec), 8080, ChecksumState::partial),
              RewriteOutcome::not_whole)
        << spec.name;
    EXPECT_EQ(bytes, head) << spec.name;
  }
}

TEST(RewriteDestination, FirstFragmentOfSctpKeepsItsPortOrStays) {
  const PacketSpec spec{.name = "", .protocol = test::kSctp, .fragment = test::Slice{0, 24}};
  const Bytes before = test::build(spec);
  Bytes bytes = before;
  EXPECT_EQ(rewrite(bytes, "10.0.0.20", 8080), RewriteOutcome::not_whole);
  EXPECT_EQ(bytes, before);
  EXPECT_EQ(rewrite(bytes, "10.0.0.20", 0), RewriteOutcome::rewritten);
  EXPECT_EQ(bytes, sent_to(spec, "10.0.0.20", 0, Checksums::complete));
}

TEST(RewriteDestination, AWrongChecksumStaysWrong) {
  for (const PacketSpec& spec : test::valid_packets()) {
    if (!has_known_checksum(spec) || spec.protocol == test::kSctp) continue;
    Bytes bytes = test::build(spec);
    const Bytes right = sent_to(spec, other_address(spec), 0, Checksums::complete);
    bytes[spec.l4_offset()] ^= 1;  // in the source port or the type, which every checksum covers
    if (spec.protocol == test::kIcmpv6) {
      bytes[spec.l4_offset()] ^= 1;
      bytes[spec.l4_offset() + 1] ^= 1;
    }
    EXPECT_EQ(rewrite(bytes, other_address(spec), 0), RewriteOutcome::rewritten) << spec.name;
    const auto l4 = static_cast<std::ptrdiff_t>(spec.l4_offset());
    EXPECT_TRUE(std::equal(bytes.begin() + l4 + 2, bytes.end(), right.begin() + l4 + 2)) << spec.name;
  }
}

// 100,000 packets of any kind to any place and back, in every state of their checksums.
TEST(RewriteDestination, RandomPacketsThereAndBack) {
  std::mt19937_64 random(test::random_seed());
  for (int round = 0; round < 100000; ++round) {
    PacketSpec spec = test::random_packet(random);
    const std::string to = test::random_address(random, spec.is_v6());
    const auto port = static_cast<std::uint16_t>(random() % 3 == 0 ? 0 : random());
    if (to == spec.destination) continue;
    const Bytes before = test::build(spec);
    const Bytes expected = sent_to(spec, to, port, Checksums::complete);
    const auto differs = [&](const Bytes& bytes, const Bytes& from) {
      return "round " + std::to_string(round) + ": " + test::hex_of(bytes) + " instead of " +
             test::hex_of(from);
    };

    Bytes bytes = before;
    ASSERT_EQ(rewrite(bytes, to, port), RewriteOutcome::rewritten);
    ASSERT_TRUE(bytes == expected) << differs(bytes, expected);
    ASSERT_EQ(rewrite(bytes, spec.destination, spec.destination_port), RewriteOutcome::rewritten);
    // Port 0 is not one that can be asked for.
    const bool must_be_back = spec.destination_port != 0 || port == 0;
    ASSERT_TRUE(!must_be_back || bytes == before) << differs(bytes, before);

    if (!has_known_checksum(spec)) continue;
    spec.checksums = Checksums::partial;
    bytes = test::build(spec);
    ASSERT_EQ(rewrite(bytes, to, port, ChecksumState::partial), RewriteOutcome::rewritten);
    ASSERT_TRUE(bytes == expected) << differs(bytes, expected);
  }
}

// Two payload bytes, chosen so that the checksum of the packet as sent to `to` comes out as zero.
PacketSpec with_zero_checksum_at(PacketSpec spec, const std::string& to, std::size_t field) {
  spec.payload = {0, 0};
  const Bytes bytes = sent_to(spec, to, 0, Checksums::complete);
  spec.payload = {bytes[spec.l4_offset() + field], bytes[spec.l4_offset() + field + 1]};
  return spec;
}

TEST(RewriteDestination, ZeroChecksumsAreWrittenAsEachProtocolWantsThem) {
  struct Case {
    std::uint8_t protocol;
    std::size_t field;
    const char* zero;
  };
  for (const Case each :
       {Case{test::kUdp, 6, "ffff"}, Case{test::kUdpLite, 6, "ffff"}, Case{test::kTcp, 16, "0000"}}) {
    for (const bool is_v6 : {false, true}) {
      SCOPED_TRACE(std::to_string(each.protocol) + (is_v6 ? " over IPv6" : " over IPv4"));
      PacketSpec spec{.name = "zero", .protocol = each.protocol};
      if (is_v6) {
        spec.source = "fd00::10";
        spec.destination = "fd00::40";
      }
      const std::string to = other_address(spec);
      spec = with_zero_checksum_at(spec, to, each.field);
      const auto at = static_cast<std::ptrdiff_t>(spec.l4_offset() + each.field);
      for (const bool is_partial : {false, true}) {
        spec.checksums = is_partial ? Checksums::partial : Checksums::complete;
        Bytes bytes = test::build(spec);
        EXPECT_EQ(rewrite(bytes, to, 0, is_partial ? ChecksumState::partial : ChecksumState::complete),
                  RewriteOutcome::rewritten);
        EXPECT_EQ(test::hex_of({bytes.begin() + at, bytes.begin() + at + 2}), each.zero);
        EXPECT_EQ(rewrite(bytes, spec.destination, 0), RewriteOutcome::rewritten);
        EXPECT_EQ(bytes, sent_to(spec, spec.destination, 0, Checksums::complete));
      }
    }
  }
}

}  // namespace
}  // namespace nfsteer::core
