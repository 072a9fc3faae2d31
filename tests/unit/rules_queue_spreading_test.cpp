// The BPF programs that share packets out among the workers, run by an interpreter of the few instructions
// they use.
#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>

#include "plan/queue_spreading.hpp"
#include "rules_support.hpp"

namespace nfsteer::rules {
namespace {

using core::Protocol;
using core::QueueGroup;
using Packet = std::vector<std::uint8_t>;

// Classic BPF as the kernel runs it: a load outside the packet ends the program with 0.
std::uint32_t run(const Bpf& bpf, const Packet& packet) {
  std::uint32_t a = 0;
  std::uint32_t x = 0;
  auto load = [&](std::size_t at, std::size_t size) -> std::optional<std::uint32_t> {
    if (at + size > packet.size()) return {};
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
      value = value << 8 | packet[at + i];
    return value;
  };
  for (std::size_t i = 0; i < bpf.program.size(); ++i) {
    const auto& [code, jump_true, jump_false, k] = bpf.program[i];
    const std::uint32_t operand = BPF_SRC(code) == BPF_X ? x : k;
    switch (BPF_CLASS(code)) {
      case BPF_LD: {
        const std::size_t size = BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
        const auto value = load(BPF_MODE(code) == BPF_IND ? std::size_t{x} + k : k, size);
        if (!value) return 0;
        a = *value;
        break;
      }
      case BPF_LDX:
        x = (load(k, 1).value() & 0xf) * 4;
        break;  // BPF_MSH
      case BPF_MISC:
        x = a;
        break;  // BPF_TAX
      case BPF_ALU:
        switch (BPF_OP(code)) {
          case BPF_ADD:
            a += operand;
            break;
          case BPF_MUL:
            a *= operand;
            break;
          case BPF_RSH:
            a >>= operand;
            break;
          case BPF_XOR:
            a ^= operand;
            break;
          default:
            ADD_FAILURE() << "unknown operation " << code;
            return 0;
        }
        break;
      case BPF_JMP: {
        const bool taken = BPF_OP(code) == BPF_JEQ   ? a == operand
                           : BPF_OP(code) == BPF_JGE ? a >= operand
                                                     : (a & operand) != 0;  // BPF_JSET
        i += taken ? jump_true : jump_false;
        break;
      }
      case BPF_RET:
        return k;
      default:
        ADD_FAILURE() << "unknown class " << code;
        return 0;
    }
  }
  ADD_FAILURE() << "ran past the end";
  return 0;
}

Packet packet_of(Family family, Protocol protocol, std::uint32_t client, std::uint16_t source_port,
                 std::uint16_t port, std::size_t option_words = 0) {
  const bool v4 = family == Family::ipv4;
  Packet packet(v4 ? 20 + option_words * 4 : 40);
  packet[0] = static_cast<std::uint8_t>(v4 ? 0x45 + option_words : 0x60);
  packet[v4 ? 9 : 6] = static_cast<std::uint8_t>(protocol);
  const std::uint32_t address = htonl(client);
  std::memcpy(packet.data() + (v4 ? 12 : 20), &address, sizeof address);
  for (std::uint16_t value : {source_port, port}) {
    packet.push_back(static_cast<std::uint8_t>(value >> 8));
    packet.push_back(static_cast<std::uint8_t>(value));
  }
  packet.resize(packet.size() + 16);
  return packet;
}

// The queue target that a packet ends at, through the real chains.
Nfqueue queue_of(const std::map<std::string, Chain>& chains, QueueGroup group, const Packet& packet,
                 std::size_t* programs_run = nullptr) {
  const Chain* chain = &chains.at(queue_chain_name(group));
  for (std::size_t i = 0; i < chain->size(); ++i) {
    const Rule& rule = (*chain)[i];
    if (!rule.matches.empty() && programs_run != nullptr) ++*programs_run;
    if (!rule.matches.empty() && run(std::get<Bpf>(rule.matches.front()), packet) == 0) continue;
    if (const auto* queue = std::get_if<Nfqueue>(&rule.target)) return *queue;
    chain = &chains.at(std::get<Goto>(rule.target).chain);
    i = static_cast<std::size_t>(-1);
  }
  ADD_FAILURE() << "reached no queue";
  return {};
}

class QueueSpreading : public testing::TestWithParam<std::tuple<Family, unsigned>> {
 protected:
  Family family_ = std::get<0>(GetParam());
  core::QueueLayout layout_{100, static_cast<std::uint16_t>(std::get<1>(GetParam()))};
  std::map<std::string, Chain> chains_ = [this] {
    std::map<std::string, Chain> chains;
    for (QueueGroup group : core::kQueueGroups)
      add_queue_chains(family_, layout_, group, true, chains);
    return chains;
  }();
};

TEST_P(QueueSpreading, AFlowBelongsToOneWorkerInEveryGroup) {
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const auto protocol = std::array{Protocol::tcp, Protocol::udp, Protocol::sctp}[i % 3];
    const std::size_t options = family_ == Family::ipv4 ? i % 11 : 0;
    const Packet packet =
        packet_of(family_, protocol, 0x0a000000 + i * 77, static_cast<std::uint16_t>(i * 31), 80, options);
    const Nfqueue first = queue_of(chains_, QueueGroup::first, packet);
    ASSERT_EQ(first.count, 1U);
    const auto worker = static_cast<unsigned>(first.first - layout_.first_of(QueueGroup::first));
    ASSERT_LT(worker, layout_.workers);
    for (QueueGroup group : core::kQueueGroups) {
      const Nfqueue queue = queue_of(chains_, group, packet);
      ASSERT_EQ(queue, (Nfqueue{layout_.queue(group, worker), 1}));
    }
  }
}

// What real traffic looks like: one client with source ports of one parity; many clients with one port; ports
// at random.
TEST_P(QueueSpreading, EveryWorkerGetsItsShare) {
  using Flow = std::pair<std::uint32_t, std::uint16_t>;
  const std::vector<std::pair<const char*, Flow (*)(std::uint32_t)>> kinds = {
      {"even ports",
       [](std::uint32_t i) {
         return Flow{0x0a000002, 32768 + i * 2 % 28232};
       }},
      {"odd ports",
       [](std::uint32_t i) {
         return Flow{0x0a000002, 32769 + i * 2 % 28232};
       }},
      {"one port",
       [](std::uint32_t i) {
         return Flow{0x0a000000 + i, 5000};
       }},
      {"networks",
       [](std::uint32_t i) {
         return Flow{0x0a000001 + (i << 8), 5000};
       }},
      {"mixed",
       [](std::uint32_t i) {
         return Flow{0x0a000000 + i % 50, static_cast<std::uint16_t>(i * 40503U)};
       }},
  };
  constexpr std::uint32_t kFlows = 14000;
  for (const auto& [name, flow] : kinds) {
    std::vector<double> count(layout_.workers);
    for (std::uint32_t i = 0; i < kFlows; ++i) {
      const auto [client, port] = flow(i);
      const Nfqueue queue =
          queue_of(chains_, QueueGroup::first, packet_of(family_, Protocol::tcp, client, port, 80));
      count.at(static_cast<std::size_t>(queue.first - layout_.base)) += 1;
    }
    // Chi-square against equal shares; the bound is far above its mean (workers - 1), as no randomness is
    // involved.
    const double expected = static_cast<double>(kFlows) / layout_.workers;
    double chi_square = 0;
    for (double c : count)
      chi_square += (c - expected) * (c - expected) / expected;
    EXPECT_LT(chi_square, layout_.workers * 3 + 10) << name;
  }
}

TEST_P(QueueSpreading, WhatHasNoPortsIsSpreadByAddresses) {
  const Nfqueue all{layout_.first_of(QueueGroup::rewrite), layout_.workers};
  Packet ping = packet_of(family_, Protocol::tcp, 1, 2, 3);
  ping[family_ == Family::ipv4 ? 9 : 6] = family_ == Family::ipv4 ? 1 : 58;
  EXPECT_EQ(queue_of(chains_, QueueGroup::rewrite, ping), all);
  Packet cut = packet_of(family_, Protocol::udp, 1, 2, 3);
  cut.resize(family_ == Family::ipv4 ? 22 : 42);
  EXPECT_EQ(queue_of(chains_, QueueGroup::rewrite, cut), all);
  if (family_ == Family::ipv4) {
    Packet fragment = packet_of(family_, Protocol::udp, 1, 2, 3);
    fragment[7] = 1;
    EXPECT_EQ(queue_of(chains_, QueueGroup::rewrite, fragment), all);
    fragment[6] = 0x40;  // "don't fragment" is no offset
    fragment[7] = 0;
    EXPECT_EQ(queue_of(chains_, QueueGroup::rewrite, fragment).count, 1U);
  }
}

TEST_P(QueueSpreading, FewProgramsRunForAPacket) {
  std::size_t programs = 0;
  for (std::uint16_t port = 1; port <= 1000; ++port) {
    queue_of(chains_, QueueGroup::first, packet_of(family_, Protocol::tcp, 1, port, 80), &programs);
  }
  EXPECT_LE(programs, 10U * 1000);
}

INSTANTIATE_TEST_SUITE_P(Workers, QueueSpreading,
                         testing::Combine(testing::Values(Family::ipv4, Family::ipv6),
                                          testing::Values(2U, 3U, 8U, 9U, 17U, 64U)));

TEST(QueueSpreadingFallback, OneWorkerNeedsNoProgram) {
  std::map<std::string, Chain> chains;
  add_queue_chains(Family::ipv4, {7, 1}, QueueGroup::first, true, chains);
  EXPECT_EQ(chains, (std::map<std::string, Chain>{{"NFSTEER-Q-first", {Rule{{}, {}, {}, Nfqueue{7, 1}}}}}));
}

TEST(QueueSpreadingFallback, WithoutBpfTheKernelSpreads) {
  std::map<std::string, Chain> chains;
  add_queue_chains(Family::ipv6, {7, 4}, QueueGroup::inspect, false, chains);
  EXPECT_EQ(chains,
            (std::map<std::string, Chain>{{"NFSTEER-Q-inspect", {Rule{{}, {}, {}, Nfqueue{11, 4}}}}}));
}

}  // namespace
}  // namespace nfsteer::rules
