// Completion of command lines, for every shell alike: a script of a few lines per shell hands over the words
// so far, and what may follow comes from the CLI11 tree, so that it never lags behind it.
//
// What a value may be:
//   SERVICE, BACKEND   names, asked from the running engine
//   a policy           policy::catalogue()
//   FILE, --config, --control, --pcap, --record, --churn, --plot   files, by the shell
//   else               what the help text lists: "tcp, udp, sctp or any", "text (default) or json",
//                      "keep (default): the ladder stays; remove: every rule goes"
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/App.hpp>

#include "core/result.hpp"

namespace nfsteer::cli {

struct Candidate {
  std::string text;  // a whole word
  std::string help;
};

struct Completion {
  std::vector<Candidate> candidates;
  bool files = false;  // the shell's own completion of file names instead
};

// Names that only a running engine knows. `control` is the socket the command line names, or empty.
struct LiveNames {
  std::function<std::vector<std::string>(const std::string& control)> services;
  std::function<std::vector<std::string>(const std::string& control, const std::string& service)> backends;
};

// `words` follow the program's name; the last one is being typed, and may be empty.
Completion complete(const CLI::App& app, std::span<const std::string> words, const LiveNames& live);

// The values that a help text lists; none if it does not.
std::vector<std::string> listed_values(std::string_view help);

// The script that makes `shell` (bash, zsh, fish) complete nfsteer's command lines. It calls
//   nfsteer __complete WORD...
// which prints a candidate a line, a tab and its help, or the line ":files".
core::Result<std::string> completion_script(std::string_view shell);

}  // namespace nfsteer::cli
