#include "cli/daemon.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <linux/capability.h>
#include <spdlog/spdlog.h>

#include "api/routes.hpp"
#include "confine/syscall_filter.hpp"
#include "control/running_engine.hpp"
#include "control/version.hpp"
#include "iptc/lock.hpp"
#include "plugin/trial.hpp"

namespace nfsteer::cli {
namespace {

std::string counted(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

core::Result<std::unique_ptr<Daemon>> Daemon::start(const ConfigFlags& flags,
                                                    process::ServiceManager& manager) {
  auto config = flags.load();
  if (!config) return tl::unexpected(config.error());
  if (auto privileged = confine::check_privileges(); !privileged) return tl::unexpected(privileged.error());
  std::optional<confine::User> user;
  if (!config->engine.user.empty()) {
    auto found = confine::find_user(config->engine.user);
    if (!found) return tl::unexpected(found.error());
    user = *std::move(found);
  }
  // A fork: before there are threads and anything that the new process would hold, too.
  auto spawner = confine::Spawner::start(
      {plugin::trial_program(), plugin::trial_arguments(config->engine.seccomp), user});
  if (!spawner) return tl::unexpected(spawner.error());
  std::signal(SIGPIPE, SIG_IGN);  // a log reader that goes away must not end the engine
  std::unique_ptr<Daemon> daemon(
      new Daemon(process::log_options(config->engine), manager, *std::move(spawner)));
  daemon->user_ = std::move(user);
  if (config->engine.watch) {
    if (auto watching = daemon->watch(flags.file); !watching) return tl::unexpected(watching.error());
    config = flags.load();  // what it says now: only later changes are told
    if (!config) return tl::unexpected(config.error());
  }
  if (auto up = daemon->set_up(*std::move(config), flags); !up) return tl::unexpected(up.error());
  return daemon;
}

core::Result<void> Daemon::set_up(config::Config config, const ConfigFlags& flags) {
  const config::Engine settings = config.engine;
  if (auto listening = listen(settings); !listening) return listening;
  if (auto confined = confine(settings, flags.file); !confined) return confined;

  control::Engine::Source source;
  if (!flags.file.empty()) source = [&flags] { return flags.load(); };
  auto engine = control::Engine::start(io_, std::move(config), std::move(source), {},
                                       {spawner_.get(), lock_file_.number()});
  if (!engine) return tl::unexpected(engine.error());
  engine_ = *std::move(engine);

  tell_of_reloads();
  say_ready(settings.control);
  await_signals();
  await_log_flush();
  manager_.ready(summary());
  watchdog_ = std::make_unique<process::Watchdog>(io_, manager_, [this] { return engine_->rounds(); });
  return {};
}

// Before the engine starts: a second engine on the same socket then fails before it touches anything.
// Requests wait for serve().
core::Result<void> Daemon::listen(const config::Engine& settings) {
  const std::string folder = std::filesystem::path(settings.control).parent_path();
  const bool is_new = !folder.empty() && !std::filesystem::exists(folder);
  const auto handler = [this](const api::HttpRequest& request) { return answer(request); };
  auto server = api::HttpServer::listen(io_, settings.control, handler, settings.control_group);
  if (!server) return tl::unexpected(server.error());
  server_ = *std::move(server);
  // Its user may connect, and remove it at the end.
  if (user_)
    for (const std::string& each : {settings.control, folder}) {
      const bool is_ours = each != folder || is_new;
      const int error = is_ours ? confine::give_away(each, user_->uid, static_cast<gid_t>(-1)) : 0;
      if (error != 0)
        return core::system_error(
            each, fmt::format("cannot give it to user {}: {}", settings.user, std::strerror(error)),
            "run the engine with CAP_CHOWN");
    }
  if (!settings.listen) return {};
  auto reader = api::HttpServer::listen_tcp(io_, settings.listen->address, settings.listen->port, handler);
  if (!reader) return tl::unexpected(reader.error());
  read_only_server_ = *std::move(reader);
  return {};
}

// Once everything is open that needs more rights, and before there are other threads: those of workers and
// policies inherit it.
core::Result<void> Daemon::confine(const config::Engine& settings, const std::string& file) {
  // The engine would find out by itself, but not be able to say which process it is.
  if (auto alone = control::refuse_beside_another(); !alone) return alone;
  if (user_) {
    const auto lock = rules::XtablesLock::open_file();
    if (!lock) return tl::unexpected(lock.error());
    lock_file_ = confine::Descriptor(*lock);
  }
  if (auto kept = confine::keep_only({CAP_NET_ADMIN, CAP_NET_RAW}, user_ ? &*user_ : nullptr); !kept)
    return kept;
  if (!file.empty() && !std::ifstream(file))
    spdlog::warn(
        "{}: reloads will fail: user {} cannot read it without the privileges that are given up now; "
        "make it readable, as well as its folders searchable, to that user",
        file, geteuid());
  return confine::install_syscall_filter(settings.seccomp);
}

core::Result<void> Daemon::watch(const std::string& file) {
  if (file.empty())
    return core::usage_error("watch", "there is no file to watch", "give one with -c, or leave it out");
  auto watching = process::FileWatch::start(io_, file, [this] { engine_->reload(); });
  if (!watching) return tl::unexpected(watching.error());
  watch_ = *std::move(watching);
  return {};
}

void Daemon::tell_of_reloads() {
  engine_->on_reload(
      {[this] { manager_.reloading(); },
       [this](const core::Result<std::vector<std::string>>& changes) {
         if (changes) {
           manager_.ready(summary());
           process::log_with({{"changes", changes->size()}, {"revision", engine_->revision()}},
                             spdlog::level::info, "reloaded: " + counted(changes->size(), "change"));
         } else {
           manager_.ready(
               fmt::format("{}; the last reload changed nothing: {}", summary(), changes.error().line()));
           process::log_limited(spdlog::level::err, "reload changed nothing: {}", changes.error().line());
         }
       }});
}

void Daemon::say_ready(const std::string& control_path) const {
  const core::QueueLayout& layout = engine_->layout();
  const unsigned last = layout.base + layout.size() - 1;
  process::log_with({{"version", control::kVersion},
                     {"services", engine_->services().size()},
                     {"workers", layout.workers},
                     {"first_queue", layout.base},
                     {"last_queue", last},
                     {"control", control_path}},
                    spdlog::level::info,
                    fmt::format("ready: nfsteer {}, {}, {}, queues {} to {}, control socket {}",
                                control::kVersion, counted(engine_->services().size(), "service"),
                                counted(layout.workers, "worker"), layout.base, last, control_path));
}

std::string Daemon::summary() const {
  std::size_t backends = 0;
  for (const core::Service& service : engine_->services())
    backends += service.backends.size();
  return fmt::format("{}, {}", counted(engine_->services().size(), "service"), counted(backends, "backend"));
}

api::HttpResponse Daemon::answer(const api::HttpRequest& request) {
  const std::uint64_t before = engine_->revision();
  api::HttpResponse response = api::handle_request(*engine_, request);
  if (engine_->revision() != before) manager_.status(summary());
  return response;
}

void Daemon::await_signals() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    if (number != SIGHUP) {
      spdlog::info("stopping");
      manager_.stopping();
      io_.stop();
      return;
    }
    engine_->reload();  // the listener says what became of it
    await_signals();
  });
}

void Daemon::await_log_flush() {
  log_flush_.expires_after(kLogFlush);
  log_flush_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    log_.flush();
    await_log_flush();
  });
}

core::Result<void> Daemon::serve() {
  io_.run();
  auto stopped = engine_->stop();
  if (stopped && engine_->leaves_ladder()) {
    spdlog::info(
        "stopped; the DNAT ladder goes on balancing until the next start, `nfsteer cleanup` removes it");
  } else if (stopped) {
    spdlog::info("stopped; every rule is removed");
  }
  return stopped;
}

}  // namespace nfsteer::cli
