// The screen of `nfsteer top`: samples and rates in, lines out. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/top/keys.hpp"
#include "cli/top/top_model.hpp"

namespace nfsteer::cli::top {

struct ViewOptions {
  std::size_t width = 80;   // columns, of the terminal
  std::size_t height = 24;  // lines; 0: no terminal, everything at once and no word of keys
  bool unicode = true;      // else ASCII only
  bool styled = false;      // with escape sequences for colours and the like
};

struct Screen {
  std::vector<std::string> lines;  // never more, and never wider, than the terminal has
  ScrollLimits limits;
};

// `notice`: why what is shown is out of date ("engine away for 3 s: ..."); empty: it is not.
// Only lines that are seen are made, so the time is that of a walk over the services.
Screen render(const Sample& sample, const Rates& rates, const ViewState& state, const std::string& notice,
              const ViewOptions& options);

}  // namespace nfsteer::cli::top
