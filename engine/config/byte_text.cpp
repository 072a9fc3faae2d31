#include "config/byte_text.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace nfsteer::config {
namespace {

constexpr std::pair<char, char> kEscapes[] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'\\', '\\'}};

bool is_printable(char each) {
  return each >= ' ' && each <= '~';
}

// The byte of the escape that `text` begins with, behind its backslash; takes it off.
std::optional<char> take_escape(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const char letter = text.front();
  text.remove_prefix(1);
  for (const auto& [name, byte] : kEscapes)
    if (name == letter) return byte;
  if (letter != 'x' || text.size() < 2) return std::nullopt;
  unsigned char byte = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 2, byte, 16);
  if (error != std::errc{} || end != text.data() + 2) return std::nullopt;
  text.remove_prefix(2);
  return static_cast<char>(byte);
}

}  // namespace

std::optional<std::string> bytes_of_text(std::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    const char each = text.front();
    text.remove_prefix(1);
    if (!is_printable(each)) return std::nullopt;
    const auto byte = each == '\\' ? take_escape(text) : each;
    if (!byte) return std::nullopt;
    bytes += *byte;
  }
  return bytes;
}

std::string text_of_bytes(std::string_view bytes) {
  std::string text;
  for (const char each : bytes) {
    const auto escape = std::find_if(std::begin(kEscapes), std::end(kEscapes),
                                     [&](const auto& candidate) { return candidate.second == each; });
    if (escape != std::end(kEscapes))
      text += {'\\', escape->first};
    else if (is_printable(each))
      text += each;
    else
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(each));
  }
  return text;
}

bool is_printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_printable);
}

}  // namespace nfsteer::config
