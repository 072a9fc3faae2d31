// The lines of the log, and how floods of messages are held back. Time is virtual where it matters.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "core/rate_limit.hpp"
#include "process/log.hpp"

namespace nfsteer::process {
namespace {

using namespace std::chrono_literals;
using config::LogFormat;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using Time = core::RateLimit::Clock::time_point;

// The default logger writes to a string.
class LogTest : public testing::Test {
 protected:
  ~LogTest() override { spdlog::set_default_logger(before_); }

  void write_to(std::shared_ptr<spdlog::sinks::sink> sink, LogFormat format = LogFormat::text,
                bool to_journal = false) {
    sink->set_formatter(make_log_formatter(format, to_journal));
    auto logger = std::make_shared<spdlog::logger>("test", std::move(sink));
    logger->set_level(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
  }
  void write(LogFormat format, bool to_journal = false) { write_to(lines_, format, to_journal); }
  void write_limited(core::RateLimit limit) {
    write_to(std::make_shared<LimitedSink>(lines_, limit, [this] { return now_; }), LogFormat::text, true);
  }

  std::vector<std::string> lines() {
    std::vector<std::string> all;
    std::istringstream text(text_.str());
    for (std::string line; std::getline(text, line);)
      all.push_back(line);
    text_.str({});
    return all;
  }

  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  std::ostringstream text_;
  std::shared_ptr<spdlog::sinks::sink> lines_ = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
  Time now_;
};

TEST_F(LogTest, TextHasTimeLevelAndMessage) {
  write(LogFormat::text);
  spdlog::warn("the {} is low", "water");
  EXPECT_THAT(
      lines(),
      ElementsAre(MatchesRegex(
          "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3} warning the water is low")));
}

TEST_F(LogTest, TheJournalGetsThePriorityInsteadOfTimeAndLevel) {
  write(LogFormat::text, true);
  spdlog::critical("a");
  spdlog::error("b");
  spdlog::warn("c");
  spdlog::info("d");
  spdlog::debug("e");
  EXPECT_THAT(lines(), ElementsAre("<2>a", "<3>b", "<4>c", "<6>d", "<7>e"));
}

TEST_F(LogTest, JsonIsOneObjectPerLineWithTheValuesThatAreGiven) {
  write(LogFormat::json);
  log_with({{"services", 3}, {"name", "web \"one\""}}, spdlog::level::info, "3 services");
  spdlog::error("plain");
  const auto all = lines();
  ASSERT_EQ(all.size(), 2U);
  const auto with = boost::json::parse(all[0]).as_object();
  EXPECT_EQ(with.at("level"), "info");
  EXPECT_EQ(with.at("message"), "3 services");
  EXPECT_EQ(with.at("services"), 3);
  EXPECT_EQ(with.at("name"), "web \"one\"");
  EXPECT_THAT(std::string(with.at("time").as_string()),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z"));
  const auto plain = boost::json::parse(all[1]).as_object();
  EXPECT_EQ(plain.at("level"), "error");
  EXPECT_EQ(plain.size(), 3U);
}

TEST_F(LogTest, AValueNeverReplacesTimeLevelOrMessage) {
  write(LogFormat::json);
  log_with({{"message", "forged"}, {"level", "forged"}}, spdlog::level::info, "true");
  EXPECT_THAT(lines(), ElementsAre(testing::Not(HasSubstr("forged"))));
}

TEST_F(LogTest, AMessageStaysOneLineAndReadableWhateverItsBytes) {
  const std::string odd = "a\nb\x1b[31mc\xff\xfe";
  write(LogFormat::text, true);
  spdlog::info(odd);
  EXPECT_THAT(lines(), ElementsAre("<6>a\\nb\\x1b[31mc\xff\xfe"));
  write(LogFormat::json);
  spdlog::info(odd);
  const auto all = lines();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(boost::json::parse(all[0]).at("message"), "a\nb\x1b[31mc??");
  spdlog::info("gr\xc3\xbc\xc3\x9f dich");
  EXPECT_EQ(boost::json::parse(lines().at(0)).at("message"), "gr\xc3\xbc\xc3\x9f dich");
}

TEST_F(LogTest, ASiteThatRepeatsIsHeldBackAndTheNextMessageSaysHowMany) {
  write_limited(core::RateLimit(2, 60s));
  for (int i = 0; i < 6; ++i)
    log_limited(spdlog::level::warn, "queue {} is full", i);
  EXPECT_THAT(lines(), ElementsAre("<4>queue 0 is full", "<4>queue 1 is full"));
  now_ += 61s;
  log_limited(spdlog::level::warn, "queue {} is full", 9);
  EXPECT_THAT(lines(), ElementsAre("<4>4 more like this: queue 5 is full", "<4>queue 9 is full"));
}

TEST_F(LogTest, SitesDoNotHoldEachOtherBack) {
  write_limited(core::RateLimit(1, 60s));
  for (int i = 0; i < 2; ++i) {
    log_limited(spdlog::level::warn, "one {}", i);
    log_limited(spdlog::level::err, "other {}", i);
    spdlog::info("unlimited {}", i);
  }
  EXPECT_THAT(lines(), ElementsAre("<4>one 0", "<3>other 0", "<6>unlimited 0", "<6>unlimited 1"));
}

TEST_F(LogTest, AFloodThatIsOverIsSummedUpByAFlush) {
  write_limited(core::RateLimit(1, 60s));
  for (int i = 0; i < 4; ++i)
    log_limited(spdlog::level::err, "no descriptor left, try {}", i);
  EXPECT_THAT(lines(), ElementsAre("<3>no descriptor left, try 0"));
  spdlog::default_logger()->flush();
  EXPECT_THAT(lines(), IsEmpty()) << "it may still go on";
  now_ += 60s;
  spdlog::default_logger()->flush();
  EXPECT_THAT(lines(), ElementsAre("<3>3 more like this: no descriptor left, try 3"));
  spdlog::default_logger()->flush();
  EXPECT_THAT(lines(), IsEmpty());
}

TEST_F(LogTest, TheEndSumsUpWhatIsLeft) {
  write_limited(core::RateLimit(1, 60s));
  for (int i = 0; i < 3; ++i)
    log_limited(spdlog::level::warn, "late {}", i);
  lines();
  spdlog::set_default_logger(before_);
  EXPECT_THAT(lines(), ElementsAre("<4>2 more like this: late 2"));
}

TEST(JournalTest, StderrIsTheJournalOnlyIfTheVariableNamesIt) {
  struct stat status {};
  ASSERT_EQ(fstat(STDERR_FILENO, &status), 0);
  unsetenv("JOURNAL_STREAM");
  EXPECT_FALSE(stderr_is_journal());
  setenv("JOURNAL_STREAM", fmt::format("{}:{}", status.st_dev, status.st_ino).c_str(), 1);
  EXPECT_TRUE(stderr_is_journal());
  setenv("JOURNAL_STREAM", fmt::format("{}:{}", status.st_dev, status.st_ino + 1).c_str(), 1);
  EXPECT_FALSE(stderr_is_journal());
  unsetenv("JOURNAL_STREAM");
}

}  // namespace
}  // namespace nfsteer::process
