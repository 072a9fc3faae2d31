// The text of `nfsteer explain`.
#include <string>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/api_client.hpp"
#include "cli/explain_text.hpp"

namespace nfsteer::cli {
namespace {

using testing::HasSubstr;

boost::json::value answer() {
  return boost::json::parse(R"({
    "protocol": "tcp", "source": "10.0.0.10:40000", "destination": "10.0.0.40:80", "from_this_host": true,
    "candidates": [
      {"service": "dns", "protocol": "udp", "port": 53, "takes": false, "reason": "it takes udp only"},
      {"service": "web", "protocol": "tcp", "port": 80, "takes": true, "reason": "its own"}],
    "service": "web",
    "mode": {"name": "connection", "meaning": "M"}, "policy": {"name": "weighted-random", "meaning": "P"},
    "on_no_backend": "reject",
    "backends": [
      {"address": "10.0.0.20", "port": 8080, "weight": 1, "effective_weight": 1, "backup": false, "state": "active",
       "probability": 1, "reason": ""},
      {"address": "10.0.0.30", "port": 80, "weight": 3, "effective_weight": 0, "backup": false, "state": "down",
       "probability": 0, "reason": "its health checks fail"}],
    "choice": {"backend": 0, "reason": "the only one"}, "no_backend": null, "notes": ["a note"],
    "steps": [
      {"place": "mangle OUTPUT", "text": "queued", "otherwise": false,
       "rules": [{"rule": "-A A -m bpf --bytecode \"2,6 0 0 1,6 0 0 0\" -j NFQUEUE", "probability": 1}]},
      {"place": "engine", "text": "chooses", "otherwise": false, "rules": []},
      {"place": "nat OUTPUT", "text": "passed by", "otherwise": true,
       "rules": [{"rule": "-A B -j X", "probability": 1}, {"rule": "-A C -j Y", "probability": 0.25, "note": "N"}]},
      {"place": "conntrack", "text": "later", "otherwise": false, "rules": []}]
  })");
}

TEST(ExplainText, IsTheAnswerInNumberedSteps) {
  EXPECT_EQ(explain_text(answer()).value(),
            "tcp 10.0.0.10:40000 -> 10.0.0.40:80\n"
            "\n"
            "service web takes it: its own\n"
            "  not dns: it takes udp only\n"
            "mode connection: M\n"
            "policy weighted-random: P\n"
            "\n"
            "  backend                      weight  state        chance\n"
            "  10.0.0.20:8080                    1  active       100.0%\n"
            "  10.0.0.30:80                      3  down           0.0%  its health checks fail\n"
            "  this connection gets 10.0.0.20:8080: the only one\n"
            "  a note\n"
            "\n"
            "the way of its packets\n"
            "1. mangle OUTPUT: queued\n"
            "     -A A -m bpf --bytecode ... -j NFQUEUE\n"
            "2. engine: chooses\n"
            "   or nat OUTPUT: passed by\n"
            "            -A B -j X\n"
            "     25.0%  -A C -j Y\n"
            "              (N)\n"
            "3. conntrack: later\n");
}

TEST(ExplainText, SaysWhatConntrackKnows) {
  boost::json::value live = answer();
  live.as_object()["live"] = boost::json::array{};
  EXPECT_THAT(explain_text(live).value(),
              HasSubstr("\nthe connection that there is\n  conntrack knows none"));
  live.as_object()["live"] = boost::json::parse(
      R"([{"text": "it goes to 10.0.0.20", "state": "REPLIED", "identifier": 7},
          {"text": "it goes to 10.0.0.30", "state": "UNREPLIED"}])");
  EXPECT_THAT(explain_text(live).value(), HasSubstr("  it goes to 10.0.0.20 (REPLIED, identifier 7)\n"
                                                    "  it goes to 10.0.0.30 (UNREPLIED)\n"));
}

TEST(ExplainText, SaysWhenNoServiceTakesIt) {
  const auto none = [](const char* candidates) {
    return explain_text(boost::json::parse(
                            R"({"protocol": "tcp", "source": "10.0.0.10:1", "destination": "10.0.0.40:81",
                         "from_this_host": true, "service": null, "candidates": )" +
                            std::string(candidates) + "}"))
        .value();
  };
  EXPECT_EQ(none("[]"),
            "tcp 10.0.0.10:1 -> 10.0.0.40:81\n\nno service takes it: nfsteer leaves the connection alone\n"
            "  no service has this VIP\n");
  EXPECT_THAT(none(R"([{"service": "web", "takes": false, "reason": "it takes port 80 only"}])"),
              HasSubstr("leaves the connection alone\n  not web: it takes port 80 only\n"));
}

TEST(ExplainText, LongListsAreCutAndSaySo) {
  boost::json::value many = answer();
  boost::json::array& backends = many.as_object()["backends"].as_array();
  while (backends.size() < 40)
    backends.push_back(backends[0]);
  boost::json::array& rules = many.at("steps").as_array()[0].as_object()["rules"].as_array();
  while (rules.size() < 20)
    rules.push_back(rules[0]);
  const std::string text = explain_text(many).value();
  EXPECT_THAT(text, HasSubstr("\n  ... and 8 more\n"));
  EXPECT_THAT(text, HasSubstr("\n     ... and 4 more; --json has all\n"));
}

TEST(ExplainText, AnAnswerOfAnotherVersionIsAnErrorNotACrash) {
  const auto whole = answer();
  for (const auto& [name, value] : whole.as_object()) {
    if (name == "from_this_host" || name == "on_no_backend") continue;  // not in the text
    boost::json::value less = whole;
    less.as_object().erase(name);
    EXPECT_FALSE(explain_text(less)) << name;
  }
}

TEST(ApiQuery, ValuesAreEncoded) {
  EXPECT_EQ(api_query({{"protocol", "tcp"}, {"source", "[fd00::10]:80"}, {"live", "a&b"}}),
            "?protocol=tcp&source=%5Bfd00::10%5D:80&live=a%26b");
}

}  // namespace
}  // namespace nfsteer::cli
