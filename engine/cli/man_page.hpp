// The manual page nfsteer(8), in the man macros of roff (groff_man(7)). Commands and options come from the
// CLI11 tree; what a tree cannot tell is written by hand beside it.
#pragma once

#include <string>

#include <CLI/App.hpp>

namespace nfsteer::cli {

std::string man_page(const CLI::App& app);

}  // namespace nfsteer::cli
