// The trees that keep a plan cheap to walk: the DNAT ladder and the dispatch to services.
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "plan/ladder.hpp"
#include "plan/plan.hpp"
#include "rules_support.hpp"

namespace nfsteer::rules {
namespace {

using core::Mode;
using core::Protocol;
using core::Service;

// --- ladder
// ----------------------------------------------------------------------------------------------------------

struct LadderFacts {
  std::map<std::string, double> share;  // by backend address
  double mean_evaluated = 0;            // rules looked at for one connection, on average
  std::size_t depth = 0;
};

void follow(const std::map<std::string, Chain>& chains, const std::string& name, double reached,
            std::size_t depth, double evaluated, LadderFacts& facts) {
  facts.depth = std::max(facts.depth, depth);
  for (const Rule& rule : chains.at(name)) {
    evaluated += 1;
    double taken = reached;
    for (const Match& match : rule.matches) {
      taken *= std::get<Statistic>(match).probability / static_cast<double>(Statistic::kOne);
    }
    if (const auto* below = std::get_if<Goto>(&rule.target)) {
      follow(chains, below->chain, taken, depth + 1, evaluated, facts);
    } else {
      facts.share[std::get<Dnat>(rule.target).address.to_string()] += taken;
      facts.mean_evaluated += taken * evaluated;
    }
    reached -= taken;
  }
  EXPECT_NEAR(reached, 0, 1e-15) << "nobody may fall off the ladder";
}

LadderFacts facts_of(const std::vector<std::uint32_t>& weights) {
  Service s = service("web", "10.0.0.40", Protocol::tcp, 80, Mode::dnat, {});
  for (std::size_t i = 0; i < weights.size(); ++i) {
    s.backends.push_back(backend(text("10.1.", i / 250, '.', i % 250 + 1), 0, weights[i]));
  }
  ChainNames names;
  std::map<std::string, Chain> chains;
  LadderFacts facts;
  const std::string first = add_ladder(s, names, chains);
  follow(chains, first, 1.0, 1, 0, facts);

  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double tolerance = static_cast<double>(facts.depth * kLadderWidth) / Statistic::kOne;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const std::string at = s.backends[i].address.to_string();
    EXPECT_EQ(facts.share.count(at), weights[i] > 0 ? 1U : 0U) << at;
    EXPECT_NEAR(facts.share[at], weights[i] / sum, tolerance) << at;
  }
  return facts;
}

TEST(Ladder, SharesAreTheWeights) {
  const std::vector<std::vector<std::uint32_t>> cases = {{1},
                                                         {1, 1},
                                                         {1, 3},
                                                         {1, 1000},
                                                         {1000, 1},
                                                         {0, 1},
                                                         {1, 0},
                                                         {0, 0, 5, 0},
                                                         {1, 65535},
                                                         {1, 2, 3, 4, 5},
                                                         {0, 7, 0, 7, 0, 7, 1},
                                                         std::vector<std::uint32_t>(5, 65535),
                                                         std::vector<std::uint32_t>(17, 1)};
  for (const auto& weights : cases) {
    SCOPED_TRACE(testing::PrintToString(weights));
    facts_of(weights);
  }
}

TEST(Ladder, AThousandBackendsCostADozenEvaluations) {
  const LadderFacts equal = facts_of(std::vector<std::uint32_t>(1000, 1));
  EXPECT_LE(equal.depth, 5U);
  EXPECT_LE(equal.mean_evaluated, 14);
  std::vector<std::uint32_t> weights(1000);
  std::iota(weights.begin(), weights.end(), 0U);
  EXPECT_LE(facts_of(weights).mean_evaluated, 15);
}

TEST(Ladder, ASmallShareNeverBecomesNone) {
  EXPECT_EQ(probability(1, 2), Statistic::kOne / 2);
  EXPECT_EQ(probability(1, 0xffffffff), 1U);
  EXPECT_EQ(probability(0xfffffffe, 0xffffffff), Statistic::kOne - 1);
}

// --- dispatch
// --------------------------------------------------------------------------------------------------------

struct Reach {
  std::string service;
  std::size_t evaluated;
};

// Where a new connection to `vip` goes in the nat table, and at what price.
Reach reach(const RuleSet& rules, const core::IpAddress& vip, Protocol protocol, std::uint16_t port) {
  const Table& nat = rules.tables.at({vip.family(), TableName::nat});
  const Walk way = walk(nat, "NFSTEER", {vip, vip, protocol, port, port});
  return {way.target && std::holds_alternative<Dnat>(*way.target) ? way.comment : "", way.evaluated};
}

Reach reach_queue(const RuleSet& rules, const core::IpAddress& vip, Protocol protocol, std::uint16_t port) {
  const Table& mangle = rules.tables.at({vip.family(), TableName::mangle});
  const Walk way = walk(mangle, "NFSTEER", {vip, vip, protocol, port, port});
  return {way.target && std::holds_alternative<Nfqueue>(*way.target) ? way.comment : "", way.evaluated};
}

void expect_reached(const std::vector<Service>& services, std::size_t evaluated_max) {
  const RuleSet rules = plan(services, {0, 1}, {});
  for (const Service& s : services) {
    const std::uint16_t port = s.port != 0 ? s.port : std::uint16_t{7};
    const Protocol protocol = s.protocol != Protocol::any ? s.protocol : Protocol::udp;
    for (const Reach& found :
         {reach(rules, s.vip, protocol, port), reach_queue(rules, s.vip, protocol, port)}) {
      EXPECT_EQ(found.service, s.name);
      EXPECT_LE(found.evaluated, evaluated_max) << s.name;
    }
  }
}

TEST(Dispatch, FindsEachOfAThousandNeighbouringVips) {
  std::vector<Service> services;
  for (int i = 0; i < 1000; ++i) {
    services.push_back(service(text("s", i), text("10.0.", i / 256, '.', i % 256), Protocol::tcp, 80,
                               Mode::connection, {backend("10.9.0.1")}));
  }
  expect_reached(services, 30);
  const RuleSet rules = plan(services, {0, 1}, {});
  const Reach unrelated = reach(rules, address("192.0.2.1"), Protocol::tcp, 80);
  EXPECT_EQ(unrelated.service, "");
  EXPECT_EQ(unrelated.evaluated, 1U) << "who goes elsewhere leaves after one test";
}

TEST(Dispatch, FindsEachOfAThousandScatteredVips) {
  std::vector<Service> services;
  for (unsigned i = 0; i < 1000; ++i) {
    const unsigned mixed = i * 2654435761U;
    services.push_back(service(
        text("s", i),
        text(1 + (mixed >> 24) % 200, '.', mixed >> 16 & 255, '.', mixed >> 8 & 255, '.', mixed & 255),
        Protocol::tcp, 80, Mode::connection, {backend("10.9.0.1")}));
  }
  expect_reached(services, 40);
}

TEST(Dispatch, FindsVipsThatShareEveryPossiblePrefix) {
  std::vector<Service> services;
  for (unsigned i = 0; i < 128; ++i) {
    std::array<std::uint8_t, 16> bytes{};
    bytes[i / 8] = static_cast<std::uint8_t>(0x80U >> i % 8);
    auto s = service(text("s", i), "fd00::1", Protocol::udp, 53, Mode::inspect, {backend("fd00::2")});
    s.vip = core::IpAddress::from_bytes(Family::ipv6, bytes);
    services.push_back(s);
  }
  expect_reached(services, 128 + 30);
}

TEST(Dispatch, FindsEachOfAThousandPortsOfOneVip) {
  std::vector<Service> services;
  for (int i = 0; i < 1000; ++i) {
    services.push_back(service(text("s", i), "10.0.0.40", i % 2 == 0 ? Protocol::tcp : Protocol::udp,
                               static_cast<std::uint16_t>(1000 + i * 7), Mode::connection,
                               {backend("10.9.0.1")}));
  }
  expect_reached(services, 35);
  services.push_back(service("tcp", "10.0.0.40", Protocol::tcp, 0, Mode::connection, {backend("10.9.0.1")}));
  services.push_back(service("any", "10.0.0.40", Protocol::any, 0, Mode::connection, {backend("10.9.0.1")}));
  expect_reached(services, 35);
  const RuleSet rules = plan(services, {0, 1}, {});
  EXPECT_EQ(reach(rules, address("10.0.0.40"), Protocol::tcp, 1001).service, "tcp");
  EXPECT_EQ(reach(rules, address("10.0.0.40"), Protocol::udp, 1000).service, "any");
  EXPECT_EQ(reach(rules, address("10.0.0.40"), Protocol::sctp, 1000).service, "any");
}

TEST(Dispatch, AServiceInTheTreeKeepsItsPacketsFromTheWiderOne) {
  std::vector<Service> services;
  for (int i = 0; i < 100; ++i) {
    services.push_back(service(text("s", i), "10.0.0.40", Protocol::tcp, static_cast<std::uint16_t>(1000 + i),
                               Mode::dnat, {backend("10.9.0.1")}));
  }
  services.push_back(service("any", "10.0.0.40", Protocol::any, 0, Mode::rewrite, {backend("10.9.0.1")}));
  const RuleSet rules = plan(services, {0, 1}, {});
  for (std::uint16_t port = 1000; port < 1100; ++port) {
    EXPECT_EQ(reach_queue(rules, address("10.0.0.40"), Protocol::tcp, port).service, "") << port;
  }
  EXPECT_EQ(reach_queue(rules, address("10.0.0.40"), Protocol::tcp, 999).service, "any");
  EXPECT_EQ(reach_queue(rules, address("10.0.0.40"), Protocol::udp, 1000).service, "any");
}

TEST(Dispatch, EveryChainIsOursShortAndUsed) {
  std::vector<Service> services;
  for (int i = 0; i < 300; ++i) {
    auto s = service(text("service-", i), i % 3 == 0 ? std::string("10.0.0.40") : text("10.0.1.", i % 250),
                     Protocol::tcp, static_cast<std::uint16_t>(1 + i), Mode::rewrite, {});
    s.masquerade = i % 2 == 0;
    for (int b = 0; b < i % 40; ++b) {
      s.backends.push_back(backend(text("10.9.0.", b), 80));
    }
    services.push_back(std::move(s));
  }
  for (const auto& [id, table] : plan(services, {0, 64}, {}).tables) {
    std::map<std::string, int> entered;
    for (const auto& [built_in, chain] : table.jumps)
      ++entered[chain];
    for (const auto& [name, chain] : table.chains) {
      EXPECT_LE(name.size(), kChainNameMax);
      EXPECT_TRUE(name == "NFSTEER" || name.starts_with("NFSTEER-")) << name;
      EXPECT_FALSE(chain.empty()) << name;
      for (const Rule& rule : chain) {
        if (const auto* to = std::get_if<Goto>(&rule.target)) ++entered[to->chain];
      }
    }
    for (const auto& [name, count] : entered)
      EXPECT_EQ(table.chains.count(name), 1U) << name;
    EXPECT_EQ(entered.size(), table.chains.size()) << to_string(id.name);
  }
}

}  // namespace
}  // namespace nfsteer::rules
