// `nfsteer run`: the engine in the foreground until a signal ends it.
#include <memory>
#include <utility>

#include "cli/command_line.hpp"
#include "cli/daemon.hpp"
#include "process/service_manager.hpp"

namespace nfsteer::cli {
namespace {

core::Result<void> serve(const ConfigFlags& flags, process::ServiceManager& manager) {
  const auto daemon = Daemon::start(flags, manager);
  return daemon ? (*daemon)->serve() : tl::unexpected(daemon.error());
}

core::Result<void> run(const ConfigFlags& flags) {
  auto manager = process::ServiceManager::take_from_environment();
  if (!manager) return tl::unexpected(manager.error());
  auto served = serve(flags, *manager);
  if (!served) manager->status(served.error().line());
  return served;
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("run", "Steer traffic until SIGTERM or Ctrl-C; SIGHUP reloads the file");
  const auto flags = add_config_flags(*command);
  command->callback([=, &action] { action = [=] { return run(*flags); }; });
}

}  // namespace nfsteer::cli
