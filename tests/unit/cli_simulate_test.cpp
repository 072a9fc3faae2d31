// What `nfsteer simulate` prints of reports: tables, JSON, and what gnuplot is told.
#include <string>
#include <vector>

#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/simulate/plot.hpp"
#include "cli/simulate/report_json.hpp"
#include "cli/simulate/report_text.hpp"
#include "core/policy_spec.hpp"
#include "lab/simulation.hpp"

namespace nfsteer::cli::simulate {
namespace {

using testing::HasSubstr;
using testing::Not;

lab::Scenario scenario(std::uint32_t servers) {
  lab::Scenario made;
  for (std::uint32_t i = 1; i <= servers; ++i) {
    lab::Server& server = made.servers.emplace_back();
    server.backend.address = *core::IpAddress::parse("10.0.0." + std::to_string(i));
  }
  made.workload.flows = 1000;
  lab::Change drain;
  drain.at = lab::kSecond / 2;
  drain.backend = lab::endpoint_of(made.servers[0].backend);
  made.churn = {drain};
  return made;
}

std::vector<Outcome> outcomes(const lab::Scenario& of, const std::vector<std::string>& policies) {
  std::vector<Outcome> all;
  for (const std::string& each : policies) {
    auto report = lab::simulate(of, *core::parse_policy_spec(each), {});
    EXPECT_TRUE(report);
    all.push_back({*std::move(report), std::nullopt});
  }
  return all;
}

TEST(SimulateText, HasPoliciesBackendsAndChangesSideBySide) {
  const auto text = report_text(scenario(2), outcomes(scenario(2), {"round-robin", "maglev,table_size=251"}));
  EXPECT_THAT(
      text,
      HasSubstr("poisson arrivals at 1000/s from 10000 clients, exponential service times of 1 ms; 1000 "
                "flows, seed 1\n"));
  EXPECT_THAT(text, HasSubstr("\nround-robin "));
  EXPECT_THAT(text, HasSubstr("\nmaglev,table_size=251 "));
  EXPECT_THAT(text, HasSubstr("share by weight  round-robin  maglev,table_size=251\n"));
  EXPECT_THAT(text, HasSubstr("\n0.5 s  drain 10.0.0.1   50.00%"));
  EXPECT_THAT(text, Not(HasSubstr("unanswered")));
  EXPECT_THAT(text, Not(HasSubstr("decisions/s")));
}

TEST(SimulateText, ManyBackendsAreCutOff) {
  const auto text = report_text(scenario(30), outcomes(scenario(30), {"round-robin"}));
  EXPECT_THAT(text, HasSubstr("and 6 more; --json shows all\n"));
  EXPECT_THAT(text, Not(HasSubstr("10.0.0.25")));
}

TEST(SimulateText, SpeedIsShownWhereItIsKnown) {
  auto timed = outcomes(scenario(2), {"round-robin"});
  timed[0].speed = Speed{1, 12'300'000};
  EXPECT_THAT(report_text(scenario(2), timed), HasSubstr("12.3 M\n"));
}

TEST(SimulateJson, HasEveryFigureUnderItsName) {
  const auto of = scenario(2);
  const auto json = report_json(of, outcomes(of, {"round-robin"}));
  const auto& policy = json.at("policies").as_array()[0].as_object();
  EXPECT_EQ(policy.at("policy"), "round-robin");
  EXPECT_EQ(policy.at("metrics").at("decisions").to_number<double>(), 1000);
  EXPECT_GT(policy.at("metrics").at("p99_ms").to_number<double>(), 1);
  EXPECT_EQ(policy.at("backends").as_array().size(), 2U);
  EXPECT_EQ(policy.at("changes").as_array()[0].at("what"), "drain 10.0.0.1");
  EXPECT_EQ(policy.at("changes").as_array()[0].at("optimum").to_number<double>(), 0.5);
  EXPECT_FALSE(policy.contains("timing"));
  auto only = of;
  only.decisions_only = true;
  const auto without = report_json(only, outcomes(only, {"round-robin"}));
  EXPECT_TRUE(without.at("policies").as_array()[0].at("metrics").at("p99_ms").is_null());
}

TEST(SimulateJson, IsTheSameForTheSameSeed) {
  const auto of = scenario(3);
  const std::vector<std::string> policies{"weighted-random", "peak-ewma"};
  EXPECT_EQ(boost::json::serialize(report_json(of, outcomes(of, policies))),
            boost::json::serialize(report_json(of, outcomes(of, policies))));
}

TEST(SimulatePlot, NamesAreDataToGnuplot) {
  auto tricky = outcomes(scenario(2), {"round-robin"});
  tricky[0].report.policy.name = "/tmp/it's $(x) `y`\n\"z\".so";
  const auto script = plot_script(scenario(2), tricky, "svg");
  EXPECT_THAT(script, HasSubstr("title '/tmp/it''s $(x) `y`\\x0a\"z\".so'"));
  EXPECT_THAT(script, HasSubstr("set label 'drain 10.0.0.1' at 0.5,"));
  EXPECT_THAT(script, HasSubstr("set terminal svg noenhanced"));
}

TEST(SimulatePlot, TheFilesNameSaysItsFormat) {
  EXPECT_EQ(*plot_format("a.svg"), "svg");
  EXPECT_EQ(*plot_format("a.b/c.png"), "png");
  const auto other = plot_format("a.pdf");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().line(), "--plot: \"a.pdf\" is neither FILE.svg nor FILE.png; name it so");
}

}  // namespace
}  // namespace nfsteer::cli::simulate
