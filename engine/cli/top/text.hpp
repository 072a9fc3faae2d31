// Pieces of a screen: numbers that fit their column, bars, and lines that never get wider than they may.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nfsteer::cli::top {

// "-" for nothing; "0.0" to "999.9", then whole numbers, then "123k", "1.23M": at most 7 columns.
std::string rate_text(std::optional<double> per_second);
// At most 7 columns: above 9,999,999 as "12.3M", "4.5G" and so on.
std::string count_text(std::uint64_t count);
// "-" for nothing, "25.0%".
std::string percent_text(std::optional<double> part);
// "59 s", "1:02:03", "12 d 01:02".
std::string duration_text(double seconds);

// `text`, which is ASCII, with its end cut off where it is wider than `width`, and marked so.
std::string cut(std::string_view text, std::size_t width, bool unicode);

// `share` as a bar of `width` columns with a mark where it is expected to end. `whole` is what fills the bar.
// No mark where nothing is expected, no bar where there is no share.
std::string bar(std::optional<double> share, double expected, double whole, std::size_t width, bool unicode);

enum class Style { plain, strong, faint, heading, warning, alarm };

// One line of the screen. What does not fit is left out; columns count from 0.
class Line {
 public:
  // `styled`: styles become escape sequences (ECMA-48 SGR); else they are nothing.
  Line(std::size_t width, bool styled) : width_(width), limit_(width), styled_(styled) {}

  // Every character of `text` is one column wide.
  Line& add(std::string_view text, Style style = Style::plain);
  // Ends at column `end` with the text, after blanks.
  Line& add_right(std::string_view text, std::size_t end, Style style = Style::plain);
  // Blanks up to `column`.
  Line& pad(std::size_t column);
  // What is added from now on ends before `column`.
  Line& limit(std::size_t column);

  std::size_t columns() const { return columns_; }
  const std::string& text() const { return text_; }

 private:
  std::size_t width_;
  std::size_t limit_;
  bool styled_;
  std::size_t columns_ = 0;
  std::string text_;
};

// Of UTF-8 text whose characters are one column wide each; escape sequences of styles take none.
std::size_t columns_of(std::string_view text);

}  // namespace nfsteer::cli::top
