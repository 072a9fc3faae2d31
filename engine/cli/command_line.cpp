#include "cli/command_line.hpp"

#include <cstdio>
#include <exception>
#include <string_view>

#include "control/version.hpp"
#include "plugin/trial.hpp"
#include "plugin/try_policy.hpp"
#include "process/log.hpp"

namespace nfsteer::cli {
namespace {

int report(const core::Error& error) {
  std::fprintf(stderr, "%snfsteer: %s\n", process::stderr_is_journal() ? "<3>" : "", error.line().c_str());
  return error.exit_code();
}

// CLI11 words its own errors over several lines at times.
std::string one_line(std::string text) {
  for (char& each : text)
    if (each == '\n') each = ' ';
  return text;
}

}  // namespace

core::Result<config::Config> ConfigFlags::load() const {
  auto config = file.empty() ? config::from_flags(service) : config::load_file(file);
  if (!config) return config;
  if (auto applied = config::apply_overrides(*config, engine); !applied)
    return tl::unexpected(applied.error());
  return config;
}

std::shared_ptr<ConfigFlags> add_config_flags(CLI::App& command) {
  auto flags = std::make_shared<ConfigFlags>();
  CLI::Option* file = command.add_option("-c,--config", flags->file, "YAML file with the services");
  config::ServiceFlags& service = flags->service;
  std::vector<CLI::Option*> shorthand{
      command.add_option("--vip", service.vip, "virtual IP address, IPv4 or IPv6"),
      command.add_option("--backend", service.backends, "ADDR[:PORT][,weight=N]; once per backend"),
      command.add_option("--name", service.name, "name of the service"),
      command.add_option("--protocol", service.protocol, "tcp, udp, sctp or any"),
      command.add_option("--port", service.port, "port of the VIP; default: every port"),
      command.add_option("--mode", service.mode, "dnat, connection, inspect or rewrite"),
      command.add_option("--policy", service.policy,
                         "balancing policy: NAME[,OPTION=VALUE...], PATH.so or PATH.py:CLASS"),
      command.add_option("--shadow", service.shadow, "a policy that is asked as well, without effect"),
      command.add_flag("--masquerade", service.masquerade, "replace the client's address too"),
      command.add_option("--on-no-backend", service.on_no_backend, "reject, drop or pass"),
      command.add_option("--affinity", service.affinity,
                         "client, or for how long a client keeps its backend, as in 3h"),
      command.add_option("--health", service.health, "tcp, http, udp, icmp or passive: check the backends"),
  };
  for (CLI::Option* option : shorthand) {
    option->excludes(file);
    option->group("One service");
  }
  config::EngineFlags& engine = flags->engine;
  for (CLI::Option* option : {
           command.add_option("--queues", engine.queues, "worker threads; default: number of CPUs"),
           command.add_option("--queue-base", engine.queue_base, "first NFQUEUE number"),
           command.add_option("--queue-length", engine.queue_length, "packets that a kernel queue holds"),
           command.add_option("--seed", engine.seed, "for repeatable decisions; default: random"),
           command.add_option("--control", engine.control, "path of the control socket")
               ->envname("NFSTEER_CONTROL"),
           command.add_option("--control-group", engine.control_group, "group of the control socket"),
           command.add_option("--listen", engine.listen,
                              "[ADDRESS:]PORT where metrics and status can be read; default: nowhere"),
           command.add_flag("--watch", engine.watch, "reload when the file changes"),
           command.add_flag("--no-track-connections", engine.no_track_connections,
                            "do not count connections from conntrack's events"),
           command.add_option("--on-stop", engine.on_stop,
                              "keep (default): the DNAT ladder stays; remove: every rule goes"),
           command.add_option("--user", engine.user, "user that the engine becomes; default: who starts it"),
           command.add_option("--seccomp", engine.seccomp,
                              "enforce (default): system calls it does not need fail; log: they are logged; "
                              "off: all are made"),
           command.add_option("--log-level", engine.log_level, "debug, info (default), warning or error"),
           command.add_option("--log-format", engine.log_format, "text (default) or json"),
       })
    option->group("Engine");
  return flags;
}

std::shared_ptr<std::string> add_control_flag(CLI::App& command) {
  auto path = std::make_shared<std::string>(config::kControlDefault);
  command.add_option("--control", *path, "path of the engine's control socket")->envname("NFSTEER_CONTROL");
  return path;
}

void add_commands(CLI::App& app, Action& action) {
  app.set_version_flag("--version", "nfsteer " + std::string(control::kVersion), "print the version");
  app.set_help_flag("-h,--help", "print what the command does, and its options");
  app.set_help_all_flag("--help-all", "print the same of every command");
  app.require_subcommand(1);
  add_run(app, action);
  add_client_commands(app, action);
  add_explain(app, action);
  add_record(app, action);
  add_rules_commands(app, action);
  add_probe(app, action);
  add_top(app, action);
  add_simulate(app, action);
  add_manual_commands(app, action);
}

int run_command_line(int argc, const char* const* argv) {
  CLI::App app{"Steers traffic aimed at a virtual IP to backends, through NFQUEUE and conntrack", "nfsteer"};
  Action action;
  add_commands(app, action);
  if (argc > 1 && std::string_view(argv[1]) == kCompleteCommand) {
    print_completion(app, {argv + 2, argv + argc});
    return 0;
  }
  if (argc == 5 && std::string_view(argv[1]) == plugin::kTryPolicyCommand)
    plugin::run_trial(argv[2], argv[3], argv[4]);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return report({core::Fault::usage, {}, one_line(error.what()), "see `nfsteer --help`"});
  }
  try {
    const auto done = action();
    return done ? 0 : report(done.error());
  } catch (
      const std::exception& error) {  // out of memory, and what a library throws against its documentation
    return report({core::Fault::system, {}, error.what(), {}});
  }
}

}  // namespace nfsteer::cli
