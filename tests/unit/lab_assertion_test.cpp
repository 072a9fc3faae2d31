// The language of --assert.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/policy_spec.hpp"
#include "lab/assertion.hpp"

namespace nfsteer::lab {
namespace {

// Two policies: p99 of 20 ms and 40 ms, imbalance 1.5 and 1.
std::vector<Report> reports() {
  std::vector<Report> all(2);
  all[0].policy = *core::parse_policy_spec("weighted-random");
  all[1].policy = *core::parse_policy_spec("maglev,table_size=5003");
  for (std::size_t i = 0; i < 2; ++i) {
    all[i].response.add((i + 1) * 20 * kMillisecond);
    for (const std::uint64_t decisions :
         i == 0 ? std::vector<std::uint64_t>{3, 1} : std::vector<std::uint64_t>{2, 2}) {
      all[i].backends.emplace_back().decisions = decisions;
      all[i].backends.back().expected = 2;
    }
  }
  return all;
}

std::string outcome(const std::string& text) {
  const auto assertion = parse_assertion(text);
  if (!assertion) return assertion.error().line();
  const auto checked = check(*assertion, reports());
  return checked ? "holds" : checked.error().line();
}

TEST(LabAssertion, HoldsOrNotForEveryPolicyOrTheOneNamed) {
  for (const char* text :
       {"p99<41", "p99 < 41ms", "p99<=40ms", "p99<0.041 s", "p99<41000us", "imbalance<1.51",
        "p99[weighted-random]<21", "imbalance[maglev] <= 1", "imbalance>=1",
        "p99[ maglev,table_size=5003 ] > 39", "imbalance[mh]<1.01", " cv > -1 "})
    EXPECT_EQ(outcome(text), "holds") << text;
}

TEST(LabAssertion, AFailureNamesMetricPolicyValueAndBound) {
  EXPECT_EQ(outcome("p99<30"),
            "--assert \"p99<30\": does not hold: p99 of maglev,table_size=5003 is 40 ms, not < 30 ms");
  EXPECT_EQ(outcome("imbalance[weighted-random]<=1.05"),
            "--assert \"imbalance[weighted-random]<=1.05\": does not hold: imbalance of weighted-random is "
            "1.5, not "
            "<= 1.05");
  EXPECT_EQ(outcome("p99>20"),
            "--assert \"p99>20\": does not hold: p99 of weighted-random is 20 ms, not > 20 ms");
  EXPECT_EQ(check(*parse_assertion("p99<30"), reports()).error().exit_code(), 1);
}

TEST(LabAssertion, WhatIsNoAssertionIsRefused) {
  const std::string form = "; write METRIC<NUMBER or METRIC[POLICY]<NUMBER, with <, <=, > or >=";
  EXPECT_EQ(outcome("p99"), "--assert \"p99\": compares with nothing" + form);
  EXPECT_EQ(outcome(""), "--assert \"\": compares with nothing" + form);
  EXPECT_EQ(outcome("p99[maglev<3"), "--assert \"p99[maglev<3\": a bracket is not closed" + form);
  EXPECT_EQ(outcome("p99[maglev]x<3"),
            "--assert \"p99[maglev]x<3\": something stands behind the bracket" + form);
  EXPECT_EQ(outcome("p99[]<3"), "--assert \"p99[]<3\": the brackets name no policy" + form);
  EXPECT_EQ(outcome("imbalance<1ms"),
            "--assert \"imbalance<1ms\": the bound is not a number; write one as in 1.05");
  for (const char* text : {"p99<", "p99<x", "p99<1h", "p99<<3", "p99<nan", "p99<inf", "p99<1e999", "p99<1 2"})
    EXPECT_EQ(outcome(text),
              "--assert \"" + std::string(text) +
                  "\": the bound is not a number; write milliseconds, or a number with us, ms or s");
  EXPECT_TRUE(
      outcome("speed<1").starts_with("--assert \"speed<1\": there is no such metric; there are decisions, "));
  EXPECT_EQ(outcome("p99[round-robin]<3"),
            "--assert \"p99[round-robin]<3\": the run has no such policy; name one of its --policy");
  EXPECT_EQ(
      outcome("moved<3"),
      "--assert \"moved<3\": this run has no moved; times need servers, disruption needs changes of weights");
  EXPECT_EQ(check(*parse_assertion("moved<3"), reports()).error().exit_code(), 2);
  EXPECT_EQ(parse_assertion("p99\n<").error().line().find('\n'), std::string::npos);
}

}  // namespace
}  // namespace nfsteer::lab
