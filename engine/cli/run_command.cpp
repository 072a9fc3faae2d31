// `nfsteer run`: the engine in the foreground until a signal ends it.
#include <csignal>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "api/http_server.hpp"
#include "api/routes.hpp"
#include "cli/command_line.hpp"
#include "control/engine.hpp"
#include "control/privileges.hpp"
#include "control/version.hpp"

namespace nfsteer::cli {
namespace {

namespace asio = boost::asio;

void log_to_stderr() {
  spdlog::set_default_logger(spdlog::stderr_color_mt("nfsteer"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
}

// Serves signals until one ends the program: SIGHUP reloads, SIGTERM and SIGINT stop.
void await_signals(asio::signal_set& signals, asio::io_context& io, control::Engine& engine) {
  signals.async_wait([&](const boost::system::error_code& error, int number) {
    if (error) return;
    if (number != SIGHUP) {
      spdlog::info("stopping");
      io.stop();
      return;
    }
    if (const auto reloaded = engine.reload()) {
      spdlog::info("reloaded");
    } else {
      spdlog::error("reload changed nothing: {}", reloaded.error().line());
    }
    await_signals(signals, io, engine);
  });
}

core::Result<void> run(const ConfigFlags& flags) {
  auto config = flags.load();
  if (!config) return tl::unexpected(config.error());
  if (auto privileged = control::check_privileges(); !privileged) return privileged;
  log_to_stderr();
  std::signal(SIGPIPE, SIG_IGN);  // a log reader that goes away must not end the engine

  asio::io_context io{1};
  asio::signal_set signals(io, SIGTERM, SIGINT, SIGHUP);
  const std::string control_path = config->engine.control;
  std::unique_ptr<control::Engine> engine;
  // Listening first makes a second engine on the same socket fail before it touches anything; requests wait
  // for io.run().
  auto server = api::HttpServer::listen(io, control_path, [&](const api::HttpRequest& request) {
    return api::handle_request(*engine, request);
  });
  if (!server) return tl::unexpected(server.error());

  control::Engine::Source source;
  if (!flags.file.empty()) source = [&] { return flags.load(); };
  const std::size_t services = config->services.size();
  auto started = control::Engine::start(io, std::move(*config), std::move(source));
  if (!started) return tl::unexpected(started.error());
  engine = std::move(*started);

  const core::QueueLayout& layout = engine->layout();
  spdlog::info("ready: nfsteer {}, {} service{}, {} worker{}, queues {} to {}, control socket {}",
               control::kVersion, services, services == 1 ? "" : "s", layout.workers,
               layout.workers == 1 ? "" : "s", layout.base, layout.base + layout.size() - 1, control_path);
  await_signals(signals, io, *engine);
  io.run();

  auto stopped = engine->stop();
  if (stopped && engine->leaves_ladder()) {
    spdlog::info(
        "stopped; the DNAT ladder goes on balancing until the next start, `nfsteer cleanup` removes it");
  } else if (stopped) {
    spdlog::info("stopped; every rule is removed");
  }
  return stopped;
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("run", "Steer traffic until SIGTERM or Ctrl-C; SIGHUP reloads the file");
  const auto flags = add_config_flags(*command);
  command->callback([=, &action] { action = [=] { return run(*flags); }; });
}

}  // namespace nfsteer::cli
