// What a reader of the CLI11 tree asks of it: the man page and the completion of command lines. Hidden
// commands and options (those of the group "") do not appear.
#pragma once

#include <string>
#include <vector>

#include <CLI/App.hpp>

namespace nfsteer::cli {

std::vector<const CLI::App*> subcommands_of(const CLI::App& command);
// Commands that can be called, in order, with the words that call them: "backend add". One with subcommands
// can be where it has arguments of its own: "policy".
struct Leaf {
  std::string words;
  const CLI::App* command;
};
std::vector<Leaf> leaves_of(const CLI::App& app);

std::vector<const CLI::Option*> positionals_of(const CLI::App& command);
std::vector<const CLI::Option*> flags_of(const CLI::App& command);  // everything that begins with a dash

// {"-c", "--config"}; {"SERVICE"} of a positional
std::vector<std::string> names_of(const CLI::Option& option);
std::string name_of(const CLI::Option& option);  // the longest of them
bool takes_value(const CLI::Option& option);
bool may_repeat(const CLI::Option& option);

}  // namespace nfsteer::cli
