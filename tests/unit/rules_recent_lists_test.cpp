// The kernel's lists of clients as text, and the clock of their times.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.hpp"
#include "iptc/recent_lists.hpp"
#include "rules_support.hpp"

namespace nfsteer::rules {
namespace {

using Clients = std::vector<RecentClient>;

constexpr const char* kList =
    "src=10.0.0.10 ttl: 64 last_seen: 4300000000 oldest_pkt: 3 4299999000, 4299999500, 4300000000\n"
    "src=0.0.0.0 ttl: 0 last_seen: 0 oldest_pkt: 1 0\n"
    "src=fd00:0000:0000:0000:0000:0000:0000:0010 ttl: 64 last_seen: 18446744073709551615 oldest_pkt: 1 "
    "18446744073709551615\n";

TEST(RecentList, IsReadAsTheKernelWritesIt) {
  EXPECT_EQ(parse_recent_list(kList), (Clients{{address("10.0.0.10"), 4300000000},
                                               {address("0.0.0.0"), 0},
                                               {address("fd00::10"), 18446744073709551615U}}));
  EXPECT_EQ(parse_recent_list(""), Clients{});
  EXPECT_EQ(parse_recent_list("src=10.0.0.1 ttl: 1 last_seen: 7 oldest_pkt: 1 7"),
            (Clients{{address("10.0.0.1"), 7}}))
      << "the last line may lack its end";
}

TEST(RecentList, WhatIsNoLineOfAListIsPassedOver) {
  for (const char* line :
       {"\n", "garbage", "src=", "src= last_seen: 1", "src=10.0.0.1", "src=10.0.0.1 ttl: 64",
        "src=10.0.0.1 last_seen: ", "src=10.0.0.1 last_seen: x", "src=10.0.0.1 last_seen: -1",
        "src=10.0.0.1 last_seen: 1x", "src=10.0.0.1 last_seen: 18446744073709551616",
        "src=10.0.0.256 last_seen: 1", "src=10.0.0.1/24 last_seen: 1", "dst=10.0.0.1 last_seen: 1",
        " src=10.0.0.1 last_seen: 1"}) {
    EXPECT_EQ(parse_recent_list(line), Clients{}) << line;
    EXPECT_EQ(parse_recent_list(std::string(line) + '\n' + kList).size(), 3U) << line;
  }
}

TEST(RecentList, NoBytesHurt) {
  core::Random random(1);
  const std::string good(kList);
  for (int round = 0; round < 20000; ++round) {
    std::string text = good;
    for (int change = 0; change < 8; ++change) {
      const std::uint64_t bits = random.next();
      text[(bits >> 8) % text.size()] = static_cast<char>(bits);
    }
    text.resize(random.next() % (text.size() + 1));
    EXPECT_LE(parse_recent_list(text).size(), 12U);
  }
}

TEST(RecentList, ThatNobodyKeepsIsEmpty) {
  const auto clients = read_recent_list("nfsteer-no-such-list");
  EXPECT_TRUE(clients && clients->empty());
  EXPECT_FALSE(forget_recent_client("nfsteer-no-such-list", address("10.0.0.1")));
}

// --- the clock
// --------------------------------------------------------------------------------------------------------

constexpr std::uint64_t kSecond_ns = 1'000'000'000;

struct Rate {
  std::uint64_t tick_ns;
  unsigned long per_second;
};
// The resolutions that kernels of 100, 250, 300 and 1000 ticks a second show.
constexpr Rate kRates[] = {{10'000'000, 100}, {4'000'000, 250}, {3'333'333, 300}, {1'000'000, 1000}};

TEST(TickClock, BeginsFiveMinutesBeforeTheCounterWraps) {
  for (const Rate& rate : kRates) {
    TickClock clock(rate.tick_ns);
    const unsigned long start = 0x100000000UL - 300 * rate.per_second;
    EXPECT_EQ(clock.age_s(start, 0), 0U);
    EXPECT_EQ(clock.age_s(start, 10 * kSecond_ns), 10U);
    EXPECT_EQ(clock.age_s(start + 350 * rate.per_second, 400 * kSecond_ns), 50U) << "beyond 32 bits";
    EXPECT_EQ(clock.age_s(start, 30 * 86400 * kSecond_ns), 30U * 86400U);
  }
}

TEST(TickClock, TellsWholeSeconds) {
  TickClock clock(4'000'000);
  clock.set(1000, 5 * kSecond_ns);
  EXPECT_EQ(clock.age_s(1000, 5 * kSecond_ns + kSecond_ns - 4'000'000), 0U);
  EXPECT_EQ(clock.age_s(1000, 6 * kSecond_ns), 1U);
  EXPECT_EQ(clock.age_s(750, 5 * kSecond_ns), 1U);
}

TEST(TickClock, LearnsFromATickThatIsYetToCome) {
  TickClock clock(4'000'000);
  clock.set(1000, 0);
  EXPECT_EQ(clock.age_s(1500, 0), 0U);
  EXPECT_EQ(clock.age_s(1500, 3 * kSecond_ns), 3U);
  EXPECT_EQ(clock.age_s(1000, 0), 2U) << "all others are older than believed, too";
  EXPECT_EQ(clock.age_s(1500 + 250 * 86400UL, 0), 0U);
  EXPECT_EQ(clock.age_s(1500, 0), 0U) << "what cannot be true changes nothing";
}

TEST(TickClock, OfThisKernelRuns) {
  TickClock clock = TickClock::of_kernel();
  EXPECT_LT(clock.age_s(0x100000000UL - 300, 0), 400U);
}

}  // namespace
}  // namespace nfsteer::rules
