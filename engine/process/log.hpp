// The log: one line per message on stderr, by spdlog's default logger. spdlog::info() and its like write to
// it; the functions here are for messages that carry values, or that may repeat without end.
//
//   text           2026-11-24T18:23:48.123 warning status lacks the rules' counters: ...
//   text, journal  <4>status lacks ...         the journal has the time; <N> is the priority (sd-daemon(3))
//   json           {"time":"2026-11-24T18:23:48.123456Z","level":"warning","message":"..."}
//
// A message is whole in itself. Values repeat, for machines, what it says: as more members of a JSON line;
// text leaves them out. Control characters are escaped in either form, so that a line is always one message.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <spdlog/formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include "config/engine_settings.hpp"
#include "core/rate_limit.hpp"

namespace nfsteer::process {

struct LogOptions {
  spdlog::level::level_enum level = spdlog::level::info;
  config::LogFormat format = config::LogFormat::text;
};
LogOptions log_options(const config::Engine& settings);

// `to_journal` matters to text only.
std::unique_ptr<spdlog::formatter> make_log_formatter(config::LogFormat format, bool to_journal);

// Is stderr the journal's stream? It is if JOURNAL_STREAM names its device and inode (systemd.exec(5)).
bool stderr_is_journal();

// Lets the messages of each site of log_limited() through as RateLimit does. What was held back is said in
// one line, by the next message of that site, by flush() after the window, or at the end.
class LimitedSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  using Now = std::function<core::RateLimit::Clock::time_point()>;
  LimitedSink(std::shared_ptr<spdlog::sinks::sink> inner, core::RateLimit limit,
              Now now = core::RateLimit::Clock::now);
  ~LimitedSink() override;

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override;
  void set_formatter_(std::unique_ptr<spdlog::formatter> formatter) override;

 private:
  struct Site {
    core::RateLimit limit;
    spdlog::level::level_enum level;  // of the last message
    std::string last;
  };
  void tell(const Site& site, std::uint64_t suppressed);

  std::shared_ptr<spdlog::sinks::sink> inner_;
  core::RateLimit limit_;
  Now now_;
  std::map<std::string, Site> sites_;  // by format text
};

// While it lives, the default logger is the one described above; then one that drops everything.
class Log {
 public:
  static constexpr unsigned kBurst = 5;  // messages of one site
  static constexpr std::chrono::seconds kPer{60};

  explicit Log(const LogOptions& options);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // To be called every few seconds: says what was held back in floods that are over.
  void flush();
};

void log_with(const boost::json::object& values, spdlog::level::level_enum level, std::string_view message);

void log_of_site(const char* site, spdlog::level::level_enum level, std::string_view message);

// For what may repeat without end. The format text is the site.
template <typename... Args>
void log_limited(spdlog::level::level_enum level, fmt::format_string<Args...> format, Args&&... args) {
  const fmt::string_view site = format;
  log_of_site(site.data(), level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace nfsteer::process
