// Commands that work on rules and configuration without an engine: rules, check, cleanup.
#include <iostream>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "api/http_server.hpp"
#include "cli/command_line.hpp"
#include "confine/privileges.hpp"
#include "control/running_engine.hpp"
#include "iptc/applier.hpp"
#include "plan/plan.hpp"
#include "plugin/loader.hpp"
#include "plugin/trial.hpp"
#include "render/render.hpp"

namespace nfsteer::cli {
namespace {

core::Result<void> print_rules(const ConfigFlags& flags) {
  const auto config = flags.load();
  if (!config) return tl::unexpected(config.error());
  const core::QueueLayout layout{config->engine.queue_base, config->engine.workers()};
  const rules::RuleSet planned = rules::plan(config->services, layout, {});
  for (const core::Family family : {core::Family::ipv4, core::Family::ipv6})
    std::cout << rules::render(planned, family);
  return {};
}

// Whether a policy that comes from a file would be taken, for the backends as they are configured.
core::Result<void> try_policy(plugin::Loader& loader, const core::Service& service,
                              const core::PolicySpec& spec) {
  if (!core::is_policy_file(spec.name)) return {};
  auto code = loader.open(spec.name);
  const auto built = code ? (*code)->build(spec.options, {service.backends}).map([](const auto&) {})
                          : core::Result<void>(tl::unexpected(code.error()));
  if (built) return {};
  core::Error error = built.error();
  error.thing = fmt::format("service {}: policy {}", service.name, error.thing);
  return tl::unexpected(std::move(error));
}

core::Result<void> check(const std::string& file) {
  const auto config = config::load_file(file);
  if (!config) return tl::unexpected(config.error());
  plugin::Loader loader({plugin::trial_program(), 0});
  for (const core::Service& service : config->services) {
    if (auto tried = try_policy(loader, service, service.policy); !tried) return tried;
    if (!service.shadow) continue;
    if (auto tried = try_policy(loader, service, *service.shadow); !tried) return tried;
  }
  std::size_t backends = 0;
  for (const core::Service& service : config->services)
    backends += service.backends.size();
  std::cout << fmt::format("{}: ok, services: {}, backends: {}\n", file, config->services.size(), backends);
  return {};
}

core::Result<void> clean_up(const std::string& control, bool force) {
  if (auto privileged = confine::check_privileges(); !privileged) return privileged;
  if (const auto engine = control::running_engine(); engine && !force)
    return core::system_error("cleanup",
                              fmt::format("an engine is running{} and needs its rules", text_of(*engine)),
                              "stop it first, or use --force");
  api::HttpServer::remove_stale(control);
  return rules::Applier().remove();
}

}  // namespace

void add_rules_commands(CLI::App& app, Action& action) {
  CLI::App* rules =
      app.add_subcommand("rules", "Print the rules that `run` would install, as iptables-save does");
  const auto flags = add_config_flags(*rules);
  rules->callback([=, &action] { action = [=] { return print_rules(*flags); }; });

  CLI::App* checker = app.add_subcommand("check", "Say whether a configuration file is right");
  const auto file = std::make_shared<std::string>();
  checker->add_option("FILE", *file, "YAML file")->required();
  checker->callback([=, &action] { action = [=] { return check(*file); }; });

  CLI::App* cleanup =
      app.add_subcommand("cleanup", "Remove the rules and socket that an engine left when it ended");
  const auto control = add_control_flag(*cleanup);
  const auto force = std::make_shared<bool>(false);
  cleanup->add_flag("--force", *force, "even while an engine runs");
  cleanup->callback([=, &action] { action = [=] { return clean_up(*control, *force); }; });
}

}  // namespace nfsteer::cli
