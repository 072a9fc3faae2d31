#include "cli/top/keys.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace nfsteer::cli::top {
namespace {

using Kind = Key::Kind;

constexpr std::size_t kSequenceMax = 16;  // bytes; what is longer is no key

// What follows "ESC [" or "ESC O" (ECMA-48, xterm's ctlseqs, the Linux console).
constexpr std::array<std::pair<std::string_view, Kind>, 12> kSequences{{
    {"A", Kind::up},
    {"B", Kind::down},
    {"H", Kind::home},
    {"F", Kind::end},
    {"1~", Kind::home},
    {"4~", Kind::end},
    {"5~", Kind::page_up},
    {"6~", Kind::page_down},
    {"7~", Kind::home},
    {"8~", Kind::end},
    {"M", Kind::enter},
    {"3~", Kind::backspace},
}};

bool is_final(char byte) {
  return byte >= '@' && byte <= '~';
}

std::optional<Key> control_key(char byte) {
  switch (byte) {
    case '\x03':
      return Key{Kind::interrupt};
    case '\x08':
    case '\x7f':
      return Key{Kind::backspace};
    case '\x0c':
      return Key{Kind::redraw};
    case '\r':
    case '\n':
      return Key{Kind::enter};
    case '\x1a':
      return Key{Kind::suspend};
    case '\x1b':
      return Key{Kind::escape};
    default:
      return std::nullopt;
  }
}

// The key in a filter that is being typed.
void edit(const Key& key, ViewState& state) {
  switch (key.kind) {
    case Kind::character:
      state.filter += key.character;
      break;
    case Kind::backspace:
      if (!state.filter.empty()) state.filter.pop_back();
      break;
    case Kind::enter:
      state.is_typing = false;
      break;
    case Kind::escape:
      state.is_typing = false;
      state.filter.clear();
      break;
    default:
      return;
  }
  state.scroll = 0;
}

// Where the key scrolls to.
std::size_t scrolled(const Key& key, const ScrollLimits& limits, std::size_t from) {
  const auto back = [&](std::size_t lines) { return from - std::min(from, lines); };
  const std::size_t page = std::max<std::size_t>(1, limits.page);
  switch (key.kind) {
    case Kind::up:
      return back(1);
    case Kind::down:
      return from + 1;
    case Kind::page_up:
      return back(page);
    case Kind::page_down:
      return from + page;
    case Kind::home:
      return 0;
    case Kind::end:
      return limits.scroll_max;
    default:
      return from;
  }
}

Wish command(char character, const ScrollLimits& limits, ViewState& state) {
  switch (character) {
    case 'q':
      return Wish::quit;
    case 'j':
      return apply({Kind::down}, limits, state);
    case 'k':
      return apply({Kind::up}, limits, state);
    case ' ':
      return apply({Kind::page_down}, limits, state);
    case 'g':
      return apply({Kind::home}, limits, state);
    case 'G':
      return apply({Kind::end}, limits, state);
    case 's':
      state.sort = state.sort == SortBy::configuration ? SortBy::rate
                   : state.sort == SortBy::rate        ? SortBy::active
                                                       : SortBy::configuration;
      return Wish::none;
    case 'f':
    case '/':
      state.is_typing = true;
      return Wish::none;
    case 'p':
      state.is_paused = !state.is_paused;
      return Wish::none;
    case 'h':
    case '?':
      state.is_help = true;
      return Wish::none;
    default:
      return Wish::none;
  }
}

}  // namespace

std::vector<Key> take_keys(std::string& bytes) {
  std::vector<Key> keys;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const char byte = bytes[at];
    const bool starts_sequence =
        byte == '\x1b' && at + 1 < bytes.size() && (bytes[at + 1] == '[' || bytes[at + 1] == 'O');
    if (starts_sequence) {
      std::size_t end = at + 2;
      while (end < bytes.size() && !is_final(bytes[end]) && end - at < kSequenceMax)
        ++end;
      if (end == bytes.size()) break;
      const std::string_view rest = std::string_view(bytes).substr(at + 2, end + 1 - at - 2);
      for (const auto& [sequence, kind] : kSequences)
        if (rest == sequence) keys.push_back({kind});
      at = end + 1;
      continue;
    }
    if (byte >= ' ' && byte <= '~') {
      keys.push_back({Kind::character, byte});
    } else if (const auto key = control_key(byte)) {
      keys.push_back(*key);
    }
    ++at;
  }
  bytes.erase(0, at);
  return keys;
}

std::string_view to_string(SortBy order) {
  switch (order) {
    case SortBy::configuration:
      return "configured";
    case SortBy::rate:
      return "rate";
    case SortBy::active:
      return "active";
  }
  return "?";
}

Wish apply(const Key& key, const ScrollLimits& limits, ViewState& state) {
  if (key.kind == Kind::interrupt) return Wish::quit;
  if (key.kind == Kind::suspend) return Wish::suspend;
  if (key.kind == Kind::redraw) return Wish::redraw;
  if (state.is_help) {
    const bool quits = key == Key{Kind::character, 'q'};
    state.is_help = false;  // any key leads back
    return quits ? Wish::quit : Wish::none;
  }
  if (state.is_typing) {
    edit(key, state);
    return Wish::none;
  }
  if (key.kind == Kind::character) return command(key.character, limits, state);
  if (key.kind == Kind::escape) state.filter.clear();
  state.scroll = std::min(scrolled(key, limits, state.scroll), limits.scroll_max);
  return Wish::none;
}

}  // namespace nfsteer::cli::top
