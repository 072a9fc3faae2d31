// The engine as a process: what `nfsteer run` is made of. It owns everything that lives as long as the
// process, and passes on what they tell each other: signals, requests and changes of the file to the engine,
// and how the engine fares to the service manager.
#pragma once

#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "api/http_server.hpp"
#include "cli/command_line.hpp"
#include "confine/descriptor.hpp"
#include "confine/privileges.hpp"
#include "confine/spawner.hpp"
#include "control/engine.hpp"
#include "core/result.hpp"
#include "process/file_watch.hpp"
#include "process/log.hpp"
#include "process/service_manager.hpp"
#include "process/watchdog.hpp"

namespace nfsteer::cli {

class Daemon {
 public:
  // How often the log says what floods it has held back.
  static constexpr std::chrono::seconds kLogFlush{5};

  // Returns once the engine steers, and `manager` knows it. Both arguments outlive the daemon.
  static core::Result<std::unique_ptr<Daemon>> start(const ConfigFlags& flags,
                                                     process::ServiceManager& manager);

  // Serves signals, requests and timers until SIGTERM or SIGINT; then stops the engine.
  core::Result<void> serve();

 private:
  Daemon(const process::LogOptions& log, process::ServiceManager& manager,
         std::unique_ptr<confine::Spawner> spawner)
      : log_(log), manager_(manager), spawner_(std::move(spawner)) {}

  core::Result<void> set_up(config::Config config, const ConfigFlags& flags);
  core::Result<void> listen(const config::Engine& settings);
  core::Result<void> watch(const std::string& file);
  core::Result<void> confine(const config::Engine& settings, const std::string& file);
  void tell_of_reloads();
  void say_ready(const std::string& control_path) const;
  std::string summary() const;
  api::HttpResponse answer(const api::HttpRequest& request);
  void await_signals();
  void await_log_flush();

  process::Log log_;
  process::ServiceManager& manager_;
  std::optional<confine::User> user_;          // whom the engine becomes
  std::unique_ptr<confine::Spawner> spawner_;  // before all that may run programs
  confine::Descriptor lock_file_;              // of the tables, where another user could not open it
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_{io_, SIGTERM, SIGINT, SIGHUP};
  boost::asio::steady_timer log_flush_{io_};
  std::unique_ptr<control::Engine> engine_;
  std::unique_ptr<api::HttpServer> server_;
  std::unique_ptr<api::HttpServer> read_only_server_;
  std::unique_ptr<process::FileWatch> watch_;
  std::unique_ptr<process::Watchdog> watchdog_;
};

}  // namespace nfsteer::cli
