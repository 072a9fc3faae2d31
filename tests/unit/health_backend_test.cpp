// What the results of checks make of a backend's health, under virtual time.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "health/backend_health.hpp"

namespace nfsteer::health {
namespace {

using core::CheckType;
using core::Health;
using core::HealthCheck;
using core::Random;
using TimePoint = BackendHealth::TimePoint;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};

Outcome outcome_of(char letter) {
  if (letter == '~') return Outcome::undecided;
  return letter == '+' ? Outcome::passed : Outcome::failed;
}

char letter_of(Health health) {
  return health == Health::up ? 'U' : health == Health::down ? 'D' : '?';
}

HealthCheck steady_check(std::uint16_t rise, std::uint16_t fall) {
  HealthCheck check;
  check.rise = rise;
  check.fall = fall;
  check.jitter = 0;
  return check;
}

// The health at first and after each result.
std::string lived(const HealthCheck& check, bool trusted, const std::string& results) {
  Random random(1);
  BackendHealth backend(check, trusted, kStart, random);
  std::string healths{letter_of(backend.health())};
  for (const char result : results) {
    backend.check_ended(check, outcome_of(result), backend.due(), random);
    healths += letter_of(backend.health());
  }
  return healths;
}

TEST(BackendHealth, FollowsItsResults) {
  struct Case {
    std::uint16_t rise, fall;
    bool trusted;
    const char* results;
    const char* healths;
  };
  const Case cases[] = {
      {2, 3, false, "", "?"},
      {2, 3, false, "+", "?U"},             // new: the first good one brings it in at once
      {2, 3, false, "-", "?D"},             // and a bad one keeps it out
      {2, 3, false, "-++", "?DDU"},         // then it has to rise like any other
      {2, 3, true, "+", "UU"},              //
      {2, 3, true, "-", "UD"},              // trusted: the first one decides at once
      {2, 3, true, "+---", "UUUUD"},        // later ones do not
      {2, 3, true, "+--+---", "UUUUUUUD"},  // in a row means in a row
      {2, 3, true, "-+-++", "UDDDDU"},      // up again, too
      {1, 1, true, "+-+-", "UUDUD"},        //
      {2, 3, false, "~+", "??U"},           // what could not be checked says nothing
      {2, 3, true, "~-", "UUD"},            //
      {2, 3, true, "+--~-", "UUUUUD"},      //
      {3, 1, true, "-++~+", "UDDDDU"},      //
      {65535, 65535, true, "+-----", "UUUUUUU"},
  };
  for (const Case& each : cases)
    EXPECT_EQ(lived(steady_check(each.rise, each.fall), each.trusted, each.results), each.healths)
        << each.rise << ' ' << each.fall << ' ' << each.results;
}

// The waits from each check to the next one, in ms.
std::vector<long> waits(const HealthCheck& check, const std::string& results) {
  Random random(1);
  BackendHealth backend(check, true, kStart, random);
  std::vector<long> found;
  for (const char result : results) {
    const TimePoint started = backend.due();
    backend.check_ended(check, outcome_of(result), started, random);
    found.push_back(static_cast<long>((backend.due() - started) / milliseconds(1)));
  }
  found.erase(found.begin());  // at random
  return found;
}

TEST(BackendHealth, BacksOffWhileItIsDown) {
  HealthCheck check = steady_check(3, 2);
  check.interval = milliseconds(100);
  check.backoff_max = milliseconds(500);
  EXPECT_EQ(waits(check, "++--"), (std::vector<long>{100, 100, 100})) << "not before it is down";
  EXPECT_EQ(waits(check, "+------"), (std::vector<long>{100, 100, 200, 400, 500, 500}));
  EXPECT_EQ(waits(check, "+----+-+-"), (std::vector<long>{100, 100, 200, 400, 100, 200, 100, 200}))
      << "a good check ends the back-off";
  EXPECT_EQ(waits(check, "+---+++--"), (std::vector<long>{100, 100, 200, 100, 100, 100, 100, 100}));
  EXPECT_EQ(waits(check, "+---~~-"), (std::vector<long>{100, 100, 200, 200, 200, 400}));
  check.backoff_max = milliseconds(10);
  EXPECT_EQ(waits(check, "+----"), (std::vector<long>{100, 100, 100, 100})) << "never below the interval";
}

TEST(BackendHealth, ANewBackendIsCheckedAtOnce) {
  Random random(3);
  EXPECT_EQ(BackendHealth(HealthCheck{}, false, kStart, random).due(), kStart);
}

TEST(BackendHealth, TrustedBackendsDoNotBeginTogetherNorGoOnTogether) {
  Random random(3);
  for (const milliseconds interval : {milliseconds(5000), milliseconds(200)}) {
    HealthCheck check;
    check.interval = interval;
    const auto spread = std::min(interval, milliseconds(1000));
    std::vector<BackendHealth> backends(4000, BackendHealth(check, true, kStart, random));
    std::vector<int> firsts(10), nexts(10);
    for (BackendHealth& each : backends) {
      each = BackendHealth(check, true, kStart, random);
      ASSERT_GE(each.due(), kStart);
      ASSERT_LT(each.due(), kStart + spread);
      ++firsts[static_cast<std::size_t>((each.due() - kStart) * 10 / spread)];
      each.check_ended(check, Outcome::passed, kStart, random);
      ASSERT_GE(each.due(), kStart + interval / 2);
      ASSERT_LE(each.due(), kStart + interval);
      ++nexts[static_cast<std::size_t>((each.due() - kStart - interval / 2) * 10 / (interval / 2)) % 10];
    }
    for (std::size_t part = 0; part < 10; ++part) {
      EXPECT_NEAR(firsts[part], 400, 100);
      EXPECT_NEAR(nexts[part], 400, 100);
    }
  }
}

TEST(BackendHealth, IntervalsDifferByTheJitterAndNoMore) {
  Random random(5);
  HealthCheck check;
  check.interval = milliseconds(1000);
  check.jitter = 20;
  BackendHealth backend(check, true, kStart, random);
  backend.check_ended(check, Outcome::passed, kStart, random);
  BackendHealth::Clock::duration least = seconds(9), most{0}, sum{0};
  for (int count = 0; count < 2000; ++count) {
    backend.check_ended(check, Outcome::passed, kStart, random);
    const auto wait = backend.due() - kStart;
    least = std::min(least, wait);
    most = std::max(most, wait);
    sum += wait;
  }
  EXPECT_GE(least, milliseconds(800));
  EXPECT_LT(least, milliseconds(810));
  EXPECT_LE(most, milliseconds(1200));
  EXPECT_GT(most, milliseconds(1190));
  EXPECT_NEAR(static_cast<double>(sum / milliseconds(1)) / 2000, 1000, 10);
}

// The rules read backwards from the latest result; `results` without undecided ones.
struct Naive {
  const HealthCheck& check;
  const std::string& results;

  // The length of the run of equal results that ends at `end`.
  std::size_t run(std::size_t end) const {
    std::size_t length = 1;
    while (length < end && results[end - 1 - length] == results[end - 1])
      ++length;
    return length;
  }
  bool is_decisive(std::size_t end) const {
    return end == 1 || run(end) >= (results[end - 1] == '+' ? check.rise : check.fall);
  }
  char health(std::size_t end) const {
    while (!is_decisive(end))
      --end;
    return results[end - 1] == '+' ? 'U' : 'D';
  }
  milliseconds wait(std::size_t end) const {
    milliseconds delay = check.interval;
    for (; health(end) == 'D' && results[end - 1] == '-' && end > 1 && health(end - 1) == 'D'; --end)
      delay = std::min(delay * 2, std::max(check.interval, check.backoff_max));
    return delay;
  }
};

TEST(BackendHealth, AgreesWithANaiveModelOnRandomResults) {
  Random dice(7);
  for (int round = 0; round < 400; ++round) {
    HealthCheck check = steady_check(static_cast<std::uint16_t>(1 + dice.next() % 4),
                                     static_cast<std::uint16_t>(1 + dice.next() % 4));
    check.interval = milliseconds(1 + dice.next() % 100);
    check.backoff_max = milliseconds(dice.next() % 2000);
    const std::uint64_t bad = 1 + dice.next() % 9;
    Random random(dice.next());
    BackendHealth backend(check, dice.next() % 2 == 0, kStart, random);
    std::string results;
    for (int count = 0; count < 60; ++count) {
      const TimePoint started = backend.due();
      const char result = dice.next() % 10 == 0 ? '~' : dice.next() % 10 < bad ? '-' : '+';
      backend.check_ended(check, outcome_of(result), started, random);
      if (result != '~') results += result;
      if (results.empty()) continue;
      const Naive naive{check, results};
      ASSERT_EQ(letter_of(backend.health()), naive.health(results.size())) << results;
      if (results.size() == 1) continue;
      ASSERT_EQ((backend.due() - started) / milliseconds(1), naive.wait(results.size()).count()) << results;
    }
  }
}

class PassiveHealth : public testing::Test {
 protected:
  PassiveHealth() { check_.passive = 3; }

  BackendHealth backend() { return {check_, true, kStart, random_}; }

  HealthCheck check_ = steady_check(2, 3);
  Random random_{1};
};

TEST_F(PassiveHealth, UnansweredConnectionsTakeABackendDownAndGoodChecksBringItBack) {
  BackendHealth each = backend();
  each.unanswered(check_, 2, kStart, random_);
  EXPECT_EQ(each.health(), Health::up);
  each.unanswered(check_, 3, kStart, random_);
  EXPECT_EQ(each.health(), Health::down);
  EXPECT_LE(each.due(), kStart + check_.interval);
  each.check_ended(check_, Outcome::passed, kStart, random_);
  EXPECT_EQ(each.health(), Health::down);
  each.check_ended(check_, Outcome::passed, kStart, random_);
  EXPECT_EQ(each.health(), Health::up);
}

TEST_F(PassiveHealth, WhatWasUnansweredBeforeItCameBackCountsNoMore) {
  BackendHealth each = backend();
  each.unanswered(check_, 3, kStart, random_);
  each.unanswered(check_, 7, kStart, random_);
  each.check_ended(check_, Outcome::passed, kStart, random_);
  each.check_ended(check_, Outcome::passed, kStart, random_);
  each.unanswered(check_, 7, kStart, random_);
  each.unanswered(check_, 9, kStart, random_);
  EXPECT_EQ(each.health(), Health::up);
  each.unanswered(check_, 10, kStart, random_);
  EXPECT_EQ(each.health(), Health::down) << "three new ones";
}

TEST_F(PassiveHealth, AnAnswerBeginsTheCountAnew) {
  BackendHealth each = backend();
  each.unanswered(check_, 7, kStart, random_);
  each.check_ended(check_, Outcome::passed, kStart, random_);
  each.check_ended(check_, Outcome::passed, kStart, random_);
  each.unanswered(check_, 0, kStart, random_);
  each.unanswered(check_, 2, kStart, random_);
  EXPECT_EQ(each.health(), Health::up);
  each.unanswered(check_, 3, kStart, random_);
  EXPECT_EQ(each.health(), Health::down);
}

TEST_F(PassiveHealth, DoesNotCountWhereItIsNotAskedFor) {
  check_.passive = 0;
  BackendHealth each = backend();
  each.unanswered(check_, 1'000'000, kStart, random_);
  EXPECT_EQ(each.health(), Health::up);
}

TEST_F(PassiveHealth, WithoutChecksABackendIsUpFromTheStartAndNothingIsDue) {
  check_.type = CheckType::passive;
  BackendHealth each(check_, false, kStart, random_);
  EXPECT_EQ(each.health(), Health::up);
  EXPECT_EQ(each.due(), BackendHealth::kNever);
}

TEST_F(PassiveHealth, WithoutChecksItComesBackByItselfLaterEachTimeItFallsAgainSoon) {
  check_.type = CheckType::passive;
  check_.interval = seconds(5);
  check_.backoff_max = seconds(15);
  BackendHealth each = backend();
  TimePoint now = kStart;
  std::uint64_t count = 0;
  for (const seconds wait : {seconds(5), seconds(10), seconds(15), seconds(15)}) {
    each.unanswered(check_, count += 3, now, random_);
    EXPECT_EQ(each.health(), Health::down);
    EXPECT_EQ(each.due(), now + wait);
    each.unanswered(check_, count += 5, now, random_);
    EXPECT_EQ(each.due(), now + wait) << "down already";
    now = each.due();
    each.come_back(now);
    EXPECT_EQ(each.health(), Health::up);
    EXPECT_EQ(each.due(), BackendHealth::kNever);
    now += seconds(1);
  }
  now += check_.backoff_max;
  each.unanswered(check_, count += 3, now, random_);
  EXPECT_EQ(each.due(), now + seconds(5)) << "it has worked for long";
}

TEST(ReconfiguredHealth, KeepsWhatIsKnownAndIsCheckedSoon) {
  Random random(1);
  HealthCheck check = steady_check(2, 3);
  check.interval = std::chrono::hours(1);
  for (const bool is_good : {true, false}) {
    BackendHealth backend(check, true, kStart, random);
    backend.check_ended(check, is_good ? Outcome::passed : Outcome::failed, kStart, random);
    const Health before = backend.health();
    HealthCheck other = check;
    other.interval = seconds(10);
    const TimePoint now = kStart + seconds(1);
    backend.reconfigured(other, now, random);
    EXPECT_EQ(backend.health(), before);
    EXPECT_GE(backend.due(), now);
    EXPECT_LE(backend.due(), now + seconds(1));
  }
}

TEST(ReconfiguredHealth, ToPassiveLetsADownOneComeBackAndANewOneIn) {
  Random random(1);
  const HealthCheck check = steady_check(2, 3);
  HealthCheck passive = check;
  passive.type = CheckType::passive;
  passive.passive = 3;
  BackendHealth down(check, true, kStart, random);
  down.check_ended(check, Outcome::failed, kStart, random);
  down.reconfigured(passive, kStart, random);
  EXPECT_EQ(down.health(), Health::down);
  EXPECT_LE(down.due(), kStart + seconds(1));
  BackendHealth fresh(check, false, kStart, random);
  fresh.reconfigured(passive, kStart, random);
  EXPECT_EQ(fresh.health(), Health::up);
  EXPECT_EQ(fresh.due(), BackendHealth::kNever);
}

}  // namespace
}  // namespace nfsteer::health
