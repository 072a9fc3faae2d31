// Keys as a terminal sends them, and what each does to the view. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace nfsteer::cli::top {

struct Key {
  enum class Kind {
    character,
    up,
    down,
    page_up,
    page_down,
    home,
    end,
    enter,
    backspace,
    escape,
    interrupt,  // Ctrl-C
    suspend,    // Ctrl-Z
    redraw,     // Ctrl-L
  };
  Kind kind = Kind::character;
  char character = 0;  // of Kind::character, printable ASCII

  friend bool operator==(const Key&, const Key&) = default;
};

// Takes whole keys off the front of `bytes` and leaves the beginning of a sequence there. A lone ESC is the
// key: terminals send their sequences in one piece. Unknown sequences are dropped.
std::vector<Key> take_keys(std::string& bytes);

enum class SortBy { configuration, rate, active };

std::string_view to_string(SortBy order);

// What the person at the keyboard has chosen.
struct ViewState {
  std::size_t scroll = 0;  // lines of the table above the first one shown
  SortBy sort = SortBy::configuration;
  std::string filter;      // part of the names of the services to show, in any case
  bool is_typing = false;  // the filter
  bool is_paused = false;
  bool is_help = false;
};

// What the last screen had room for.
struct ScrollLimits {
  std::size_t scroll_max = 0;
  std::size_t page = 1;  // lines
};

enum class Wish { none, quit, suspend, redraw };

Wish apply(const Key& key, const ScrollLimits& limits, ViewState& state);

}  // namespace nfsteer::cli::top
