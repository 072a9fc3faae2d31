// Numbers, bars, lines and frames of `nfsteer top`.
#include <cmath>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "cli/top/terminal.hpp"
#include "cli/top/text.hpp"

namespace nfsteer::cli::top {
namespace {

TEST(TopText, RatesFitTheirColumn) {
  EXPECT_EQ(rate_text(std::nullopt), "-");
  EXPECT_EQ(rate_text(0), "0.0");
  EXPECT_EQ(rate_text(999.94), "999.9");
  EXPECT_EQ(rate_text(999.95), "1000");
  EXPECT_EQ(rate_text(99999.4), "99999");
  EXPECT_EQ(rate_text(99999.5), "100k");
  EXPECT_EQ(rate_text(1234567), "1.23M");
  for (double rate = 0.01; rate < 1e20; rate *= 1.037)
    EXPECT_LE(rate_text(rate).size(), 7U) << rate;
}

TEST(TopText, CountsFitTheirColumn) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(9'999'999), "9999999");
  EXPECT_EQ(count_text(10'000'000), "10.0M");
  EXPECT_EQ(count_text(999'999'999), "1.00G");
  EXPECT_EQ(count_text(~std::uint64_t{0}), "18.4E");
  for (std::uint64_t count = 1; count < 1'000'000'000'000'000'000; count = count * 3 / 2 + 1)
    EXPECT_LE(count_text(count).size(), 7U) << count;
}

TEST(TopText, Durations) {
  EXPECT_EQ(duration_text(-1), "0 s");
  EXPECT_EQ(duration_text(59.9), "59 s");
  EXPECT_EQ(duration_text(60), "0:01:00");
  EXPECT_EQ(duration_text(86399), "23:59:59");
  EXPECT_EQ(duration_text(12 * 86400 + 3720), "12 d 01:02");
}

TEST(TopText, CutTextSaysSo) {
  EXPECT_EQ(cut("backend", 7, true), "backend");
  EXPECT_EQ(cut("backend", 6, true), "backe…");
  EXPECT_EQ(cut("backend", 6, false), "backe~");
  EXPECT_EQ(cut("backend", 0, false), "");
}

TEST(TopBar, EndsWhereTheShareEndsAndHasAMarkWhereItShould) {
  EXPECT_EQ(bar(0.5, 0.5, 1, 10, false), "#####|    ");
  EXPECT_EQ(bar(0.8, 0.5, 1, 10, false), "#####|##  ");
  EXPECT_EQ(bar(0.2, 0.5, 1, 10, false), "##   |    ");
  EXPECT_EQ(bar(0.8, 0.5, 1, 10, true), "█████│██  ");
  EXPECT_EQ(bar(0.25, 0.8, 1, 10, true), "██▌     │ ");
}

TEST(TopBar, TheWholeFillsIt) {
  EXPECT_EQ(bar(0.4, 0.2, 0.4, 8, false), "####|###");
  EXPECT_EQ(bar(0.2, 0.4, 0.4, 8, false), "####   |");
  EXPECT_EQ(bar(0.4, 0.4, 0.4, 8, false), "#######|");
}

TEST(TopBar, NothingExpectedHasNoMarkAndNoShareNoBar) {
  EXPECT_EQ(bar(0.5, 0, 1, 4, false), "##  ");
  EXPECT_EQ(bar(std::nullopt, 0.5, 1, 4, false), "  | ");
  EXPECT_EQ(bar(std::nullopt, 0, 0, 4, false), "    ");
}

TEST(TopBar, HasItsWidthWhateverTheValues) {
  for (const bool unicode : {false, true})
    for (std::size_t width = 0; width < 30; ++width)
      for (double share = 0; share <= 2; share += 0.07)
        for (double expected = 0; expected <= 1; expected += 0.13)
          EXPECT_EQ(columns_of(bar(share, expected, 1, width, unicode)), width);
}

TEST(TopLine, LeavesOutWhatDoesNotFit) {
  Line line(8, false);
  line.add("abc").add_right("12", 7).add("xyz");
  EXPECT_EQ(line.text(), "abc  12x");
  EXPECT_EQ(line.add("more").columns(), 8U);
}

TEST(TopLine, LimitsWhatIsAddedNext) {
  Line line(10, false);
  line.limit(3).add("abcdef").limit(20).add("ghijklmnop");
  EXPECT_EQ(line.text(), "abcghijklm");
}

TEST(TopLine, StylesTakeNoColumns) {
  Line line(4, true);
  line.add("ab", Style::strong).add("│███", Style::alarm);
  EXPECT_EQ(line.text(), "\x1b[1mab\x1b[0m\x1b[1;31m│█\x1b[0m");
  EXPECT_EQ(columns_of(line.text()), 4U);
}

TEST(TopFrame, DrawsWhatChanges) {
  EXPECT_EQ(frame({"one", "two"}, {}, {5, 3}), "\x1b[1;1Hone\x1b[K\x1b[2;1Htwo\x1b[K\x1b[3;1H\x1b[K");
  EXPECT_EQ(frame({"one", "new"}, {"one", "two", ""}, {5, 3}), "\x1b[2;1Hnew\x1b[K");
  EXPECT_EQ(frame({"one"}, {"one", "two", ""}, {5, 3}), "\x1b[2;1H\x1b[K");
  EXPECT_EQ(frame({"one"}, {"one"}, {5, 1}), "");
}

TEST(TopFrame, ALineAsWideAsTheTerminalIsNotErasedAtItsEnd) {
  EXPECT_EQ(frame({"\x1b[1m12345\x1b[0m"}, {}, {5, 1}), "\x1b[1;1H\x1b[1m12345\x1b[0m");
}

TEST(TopFrame, HasNoMoreLinesThanTheTerminal) {
  EXPECT_EQ(frame({"1", "2", "3"}, {}, {5, 1}), "\x1b[1;1H1\x1b[K");
}

}  // namespace
}  // namespace nfsteer::cli::top
