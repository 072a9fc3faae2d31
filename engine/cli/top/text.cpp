#include "cli/top/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace nfsteer::cli::top {
namespace {

// "1.23M", "12.3M", "123M": three digits and the letter.
std::string scaled(double value) {
  constexpr std::string_view kUnits = " kMGTPE";
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", value, decimals, kUnits[unit]);
}

bool starts_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
}

std::string_view sequence(Style style) {
  switch (style) {
    case Style::plain:
      return "";
    case Style::strong:
      return "\x1b[1m";
    case Style::faint:
      return "\x1b[2m";
    case Style::heading:
      return "\x1b[7m";
    case Style::warning:
      return "\x1b[33m";
    case Style::alarm:
      return "\x1b[1;31m";
  }
  return "";
}

// What fills one column from the left by 0 to 8 eighths (U+2588 to U+258F), and the mark (U+2502).
constexpr std::array<std::string_view, 9> kEighths{" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
constexpr std::string_view kMark = "│";

}  // namespace

std::string rate_text(std::optional<double> per_second) {
  if (!per_second) return "-";
  if (*per_second < 999.95) return fmt::format("{:.1f}", *per_second);
  return *per_second < 99'999.5 ? fmt::format("{:.0f}", *per_second) : scaled(*per_second);
}

std::string count_text(std::uint64_t count) {
  return count < 10'000'000 ? fmt::format("{}", count) : scaled(static_cast<double>(count));
}

std::string percent_text(std::optional<double> part) {
  return part ? fmt::format("{:.1f}%", 100 * *part) : "-";
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::max(0.0, seconds));
  const std::uint64_t minutes = whole / 60 % 60;
  const std::uint64_t hours = whole / 3600 % 24;
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 86400) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{} d {:02}:{:02}", whole / 86400, hours, minutes);
}

std::string cut(std::string_view text, std::size_t width, bool unicode) {
  if (text.size() <= width) return std::string(text);
  if (width == 0) return {};
  return std::string(text.substr(0, width - 1)) + (unicode ? "…" : "~");
}

std::string bar(std::optional<double> share, double expected, double whole, std::size_t width, bool unicode) {
  if (width == 0 || whole <= 0) return std::string(width, ' ');
  const double columns = static_cast<double>(width) / whole;
  const auto in_bar = [&](double value, double steps) {
    return static_cast<std::size_t>(
        std::lround(std::clamp(value * columns, 0.0, static_cast<double>(width)) * steps));
  };
  const std::size_t filled = in_bar(share.value_or(0), 8);  // eighths
  const std::size_t mark =
      expected <= 0 ? width : std::min(width - 1, static_cast<std::size_t>(expected * columns));
  std::string text;
  for (std::size_t i = 0; i < width; ++i) {
    if (i == mark) {
      text += unicode ? kMark : "|";
    } else if (unicode) {
      text += kEighths[filled <= i * 8 ? 0 : std::min<std::size_t>(8, filled - i * 8)];
    } else {
      text += filled >= i * 8 + 4 ? '#' : ' ';
    }
  }
  return text;
}

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = std::min(text.find('m', i), text.size());
    } else if (starts_character(text[i])) {
      ++columns;
    }
  }
  return columns;
}

Line& Line::add(std::string_view text, Style style) {
  std::size_t bytes = 0;
  std::size_t columns = 0;
  while (bytes < text.size() && (columns_ + columns < limit_ || !starts_character(text[bytes])))
    columns += starts_character(text[bytes++]) ? 1 : 0;
  if (columns == 0) return *this;
  const bool is_plain = !styled_ || style == Style::plain;
  if (!is_plain) text_ += sequence(style);
  text_ += text.substr(0, bytes);
  if (!is_plain) text_ += "\x1b[0m";
  columns_ += columns;
  return *this;
}

Line& Line::pad(std::size_t column) {
  return columns_ < column ? add(std::string(std::min(column, width_) - columns_, ' ')) : *this;
}

Line& Line::limit(std::size_t column) {
  limit_ = std::min(column, width_);
  return *this;
}

Line& Line::add_right(std::string_view text, std::size_t end, Style style) {
  const std::size_t columns = columns_of(text);
  pad(end > columns ? end - columns : 0);
  return add(text, style);
}

}  // namespace nfsteer::cli::top
