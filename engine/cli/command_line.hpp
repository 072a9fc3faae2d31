// The commands of `nfsteer`, as CLI11 subcommands. Each add_*() gives its command a callback that stores in
// `action` what is to be done; run_command_line() does it. Exit codes: 0; 1 the system's fault; 2 usage or
// configuration.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "config/config.hpp"
#include "core/result.hpp"

namespace nfsteer::cli {

using Action = std::function<core::Result<void>()>;

int run_command_line(int argc, const char* const* argv);

// Every command there is.
void add_commands(CLI::App& app, Action& action);

// What describes the services, for `run` and `rules`: a file, or flags for one service.
struct ConfigFlags {
  std::string file;
  config::ServiceFlags service;
  config::EngineFlags engine;

  core::Result<config::Config> load() const;
};
std::shared_ptr<ConfigFlags> add_config_flags(CLI::App& command);

// --control, NFSTEER_CONTROL, or the default path.
std::shared_ptr<std::string> add_control_flag(CLI::App& command);

void add_run(CLI::App& app, Action& action);
void add_client_commands(CLI::App& app, Action& action);   // what asks a running engine
void add_backend_commands(CLI::App& app, Action& action);  // of those, `backend ...`
void add_weight(CLI::App& app, Action& action, const std::string& what);
void add_shadow(CLI::App& app, Action& action);
void add_policy(CLI::App& app, Action& action);           // of a service, and how to come to one
void add_explain(CLI::App& app, Action& action);          // what becomes of a connection
void add_record(CLI::App& app, Action& action);           // live flows into a file
void add_top(CLI::App& app, Action& action);              // a live view of a running engine
void add_rules_commands(CLI::App& app, Action& action);   // rules, check, cleanup
void add_probe(CLI::App& app, Action& action);            // what the kernel offers
void add_simulate(CLI::App& app, Action& action);         // policies in virtual time
void add_manual_commands(CLI::App& app, Action& action);  // man, completion

// `nfsteer __complete WORD...`, for the scripts of `nfsteer completion` (cli/completion.hpp). It is no
// command: its words are those of an unfinished command line.
inline constexpr const char* kCompleteCommand = "__complete";
void print_completion(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace nfsteer::cli
