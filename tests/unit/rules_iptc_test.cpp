// What can be said of the kernel side without a kernel: what it is asked for, and the bytes it would get.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "iptc/chain_edit.hpp"
#include "iptc/encode.hpp"
#include "iptc/features.hpp"
#include "iptc/table_sync.hpp"
#include "plan/plan.hpp"
#include "rules_support.hpp"

namespace nfsteer::rules {
namespace {

using core::Mode;
using core::Protocol;

RuleSet everything() {
  auto web = service("web", "10.0.0.40", Protocol::tcp, 80, Mode::rewrite,
                     {backend("10.0.0.20"), backend("10.0.0.21")});
  web.masquerade = true;
  web.affinity.emplace();
  const auto gone = service("gone", "fd00::41", Protocol::sctp, 9, Mode::connection, {});
  return plan(std::vector{web, gone}, {0, 2}, {});
}

TEST(Probe, AKernelWithEverythingWillDo) {
  EXPECT_TRUE(probe(everything(), [](const Feature&) -> core::Result<bool> { return true; }));
}

struct MissingCase {
  Family family;
  std::string_view name;
  const char* line;
};

TEST(Probe, NamesWhatTheKernelLacks) {
  const MissingCase cases[] = {
      {Family::ipv4, "NFQUEUE",
       "kernel: lacks IPv4 target NFQUEUE revision 3; load kernel module xt_NFQUEUE or use a kernel with "
       "CONFIG_NETFILTER_XT_TARGET_NFQUEUE"},
      {Family::ipv4, "NETMAP",
       "kernel: lacks IPv4 target NETMAP revision 0; load kernel module xt_NETMAP or use a kernel with "
       "CONFIG_NETFILTER_XT_TARGET_NETMAP"},
      {Family::ipv4, "statistic",
       "kernel: lacks IPv4 match statistic revision 0; load kernel module xt_statistic or use a kernel with "
       "CONFIG_NETFILTER_XT_MATCH_STATISTIC"},
      {Family::ipv4, "recent",
       "kernel: lacks IPv4 match recent revision 1; load kernel module xt_recent or use a kernel with "
       "CONFIG_NETFILTER_XT_MATCH_RECENT"},
      {Family::ipv4, "nat",
       "kernel: lacks legacy IPv4 table nat; load kernel module iptable_nat or use a kernel with "
       "CONFIG_IP_NF_NAT"},
      {Family::ipv6, "mangle",
       "kernel: lacks legacy IPv6 table mangle; load kernel module ip6table_mangle or use a kernel with "
       "CONFIG_IP6_NF_MANGLE"},
      {Family::ipv6, "conntrack",
       "kernel: lacks IPv6 match conntrack revision 3; load kernel module xt_conntrack or use a kernel with "
       "CONFIG_NETFILTER_XT_MATCH_CONNTRACK"},
  };
  for (const MissingCase& c : cases) {
    const auto result = probe(everything(), [&](const Feature& feature) -> core::Result<bool> {
      return !(feature.family == c.family && feature.name == c.name);
    });
    ASSERT_FALSE(result) << c.name;
    EXPECT_EQ(result.error().line(), c.line);
    EXPECT_EQ(result.error().exit_code(), 1);
  }
}

TEST(Probe, AsksOnlyForWhatTheRulesUse) {
  const auto plain = service("web", "10.0.0.40", Protocol::any, 0, Mode::dnat, {backend("10.0.0.20")});
  std::set<std::string> asked;
  EXPECT_TRUE(probe(plan(std::vector{plain}, {0, 2}, {}), [&](const Feature& feature) -> core::Result<bool> {
    EXPECT_EQ(feature.family, Family::ipv4);
    EXPECT_TRUE(asked.emplace(feature.name).second) << "asked twice: " << feature.name;
    return true;
  }));
  EXPECT_EQ(asked, (std::set<std::string>{"nat", "conntrack", "comment", "NETMAP", "DNAT"}));
}

TEST(Probe, PassesOnThatItMayNotAsk) {
  const auto result = probe(everything(), [](const Feature&) -> core::Result<bool> {
    return core::system_error("tables", "Operation not permitted", "run as root");
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().thing, "tables");
}

TEST(Probe, MissingBpfIsNoErrorButAPlanWithoutIt) {
  const AskKernel no_bpf = [](const Feature& feature) -> core::Result<bool> { return feature.name != "bpf"; };
  EXPECT_FALSE(can_spread_by_port(Family::ipv4, no_bpf).value());
  EXPECT_FALSE(probe(everything(), no_bpf));
  const auto web = service("web", "10.0.0.40", Protocol::tcp, 80, Mode::connection, {backend("10.0.0.20")});
  EXPECT_TRUE(probe(plan(std::vector{web}, {0, 2}, {.queueing = true, .spread_by_port = false}), no_bpf));
}

TEST(OurChains, AreKnownByTheirName) {
  for (const char* name : {"NFSTEER", "NFSTEER-web-0123ab", "NFSTEER-"})
    EXPECT_TRUE(is_ours(name)) << name;
  for (const char* name : {"", "NFSTEE", "NFSTEERING", "nfsteer", "INPUT", "MY-NFSTEER"})
    EXPECT_FALSE(is_ours(name)) << name;
}

// Equal rules must have equal bytes, padding included, or every apply would change the tables.
TEST(Encoding, IsTheSameEachTime) {
  for (const auto& [id, table] : everything().tables) {
    for (const auto& [name, chain] : table.chains) {
      std::vector<std::vector<std::byte>> seen;
      for (const Rule& rule : chain) {
        std::vector<std::byte> dirt(4096, std::byte{0xaa});  // so that fresh memory is not zero by chance
        dirt.clear();
        dirt.shrink_to_fit();
        const EncodedRule once = encode(id.family, rule);
        EXPECT_EQ(once.bytes, encode(id.family, rule).bytes);
        EXPECT_EQ(once.bytes.size() % 8, 0U);
        EXPECT_EQ(std::count(seen.begin(), seen.end(), once.bytes), 0)
            << "two rules of " << name << " look the same";
        seen.push_back(once.bytes);
      }
    }
  }
}

// --- changing a chain
// ------------------------------------------------------------------------------------------------

EncodedRule rule_to(std::string_view backend_address, const char* comment = "", std::uint64_t packets = 0) {
  Rule rule;
  if (*comment != '\0') rule.matches.emplace_back(Comment{comment});
  rule.target = Dnat{address(backend_address), 0};
  EncodedRule encoded = encode(Family::ipv4, rule);
  encoded.counters.packets = packets;
  return encoded;
}

TEST(ChainEdit, RulesThatKeepTheirOrderStay) {
  const auto a = rule_to("10.0.0.1"), b = rule_to("10.0.0.2"), c = rule_to("10.0.0.3"),
             d = rule_to("10.0.0.4");
  constexpr auto kNone = ChainEdit::kNone;
  struct {
    EncodedChain present, wanted;
    std::vector<std::size_t> stays;
  } const cases[] = {
      {{a, b, c}, {a, b, c}, {0, 1, 2}},
      {{a, b, c}, {a, c}, {0, 2}},
      {{a, c}, {a, b, c}, {0, kNone, 1}},
      {{a, b}, {b, a}, {1, kNone}},
      {{}, {a}, {kNone}},
      {{a}, {}, {}},
      {{a, a}, {a, a, a}, {0, 1, kNone}},
      {{a, b, c}, {d, b, d}, {kNone, 1, kNone}},
  };
  const std::string name = "NFSTEER";
  for (const auto& test : cases) {
    EXPECT_EQ(ChainEdit(name, test.present, test.wanted).stays, test.stays);
  }
}

TEST(ChainEdit, CountersAreNoDifference) {
  EXPECT_TRUE(same(rule_to("10.0.0.1", "web", 1), rule_to("10.0.0.1", "web", 2)));
  EXPECT_FALSE(same(rule_to("10.0.0.1", "web"), rule_to("10.0.0.1", "dns")));
}

TEST(CounterPool, FollowsAServicesRuleIntoAnotherChain) {
  CounterPool pool;
  pool.put("NFSTEER", rule_to("10.0.0.1", "web", 7));
  pool.put("NFSTEER-web", rule_to("10.0.0.1", "", 5));
  EXPECT_EQ(pool.take("NFSTEER-x", rule_to("10.0.0.1", "dns")).packets, 0U);
  EXPECT_EQ(pool.take("NFSTEER-x", rule_to("10.0.0.1", "web")).packets, 7U);
  EXPECT_EQ(pool.take("NFSTEER-x", rule_to("10.0.0.1", "web")).packets, 0U) << "taken twice";
  EXPECT_EQ(pool.take("NFSTEER-x", rule_to("10.0.0.1")).packets, 0U) << "a rule of one ladder for another";
  EXPECT_EQ(pool.take("NFSTEER-web", rule_to("10.0.0.1")).packets, 5U);
}

}  // namespace
}  // namespace nfsteer::rules
