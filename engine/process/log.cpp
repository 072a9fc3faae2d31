#include "process/log.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/null_sink.h>

#include "process/stderr_sink.hpp"

namespace nfsteer::process {
namespace {

using spdlog::details::log_msg;

// What a message carries beside its text, for as long as the call that logs it lasts. It travels in the place
// of the source location, which this program does not log. A location without a line counts as none, so that
// a logger that knows nothing of this ignores it.
struct Extra {
  const char* site = nullptr;
  const boost::json::object* values = nullptr;
};
constexpr char kExtraMark[] = "extra";

void log_with_extra(const Extra& extra, spdlog::level::level_enum level, std::string_view message) {
  spdlog::default_logger_raw()->log(spdlog::source_loc{reinterpret_cast<const char*>(&extra), 0, kExtraMark},
                                    level, spdlog::string_view_t(message.data(), message.size()));
}

Extra extra_of(const log_msg& message) {
  if (message.source.funcname != kExtraMark) return {};
  return *reinterpret_cast<const Extra*>(message.source.filename);
}

std::string escaped(std::string_view text) {
  std::string line;
  for (const char each : text) {
    if (each == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(each) < 0x20 || each == 0x7f) {
      line += fmt::format("\\x{:02x}", each);
    } else {
      line += each;
    }
  }
  return line;
}

// JSON is UTF-8, a file name need not be.
std::string utf8(std::string_view text) {
  std::string copy(text);
  boost::system::error_code invalid;
  boost::json::parse(boost::json::serialize(boost::json::string(copy)), invalid);
  if (invalid)
    for (char& each : copy)
      if (static_cast<unsigned char>(each) >= 0x80) each = '?';
  return copy;
}

class TextFormatter final : public spdlog::formatter {
 public:
  void format(const log_msg& message, spdlog::memory_buf_t& line) override {
    const std::string text = escaped({message.payload.data(), message.payload.size()});
    log_msg clean = message;
    clean.payload = text;
    pattern_.format(clean, line);
    message.color_range_start = clean.color_range_start;
    message.color_range_end = clean.color_range_end;
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<TextFormatter>(); }

 private:
  spdlog::pattern_formatter pattern_{"%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v"};
};

class JournalFormatter final : public spdlog::formatter {
 public:
  void format(const log_msg& message, spdlog::memory_buf_t& line) override {
    fmt::format_to(std::back_inserter(line), "<{}>{}\n", priority(message.level),
                   escaped({message.payload.data(), message.payload.size()}));
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JournalFormatter>(); }

 private:
  // syslog(3)'s priorities
  static int priority(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::critical:
        return 2;
      case spdlog::level::err:
        return 3;
      case spdlog::level::warn:
        return 4;
      case spdlog::level::info:
        return 6;
      default:
        return 7;
    }
  }
};

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const log_msg& message, spdlog::memory_buf_t& line) override {
    const auto level = spdlog::level::to_string_view(message.level);
    boost::json::object object{{"time", time_text(message.time)},
                               {"level", std::string_view(level.data(), level.size())},
                               {"message", utf8({message.payload.data(), message.payload.size()})}};
    if (const Extra extra = extra_of(message); extra.values != nullptr)
      for (const auto& [name, value] : *extra.values)
        object.emplace(name, value);
    const std::string text = boost::json::serialize(object);
    line.append(text.data(), text.data() + text.size());
    line.push_back('\n');
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonFormatter>(); }

 private:
  // RFC 3339, UTC
  static std::string time_text(spdlog::log_clock::time_point time) {
    using std::chrono::microseconds;
    const auto since = std::chrono::duration_cast<microseconds>(time.time_since_epoch());
    const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(since).count();
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 32> date{};
    std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    return fmt::format("{}.{:06}Z", date.data(), since.count() % 1'000'000);
  }
};

}  // namespace

LogOptions log_options(const config::Engine& settings) {
  const auto level = [&] {
    switch (settings.log_level) {
      case config::LogLevel::debug:
        return spdlog::level::debug;
      case config::LogLevel::info:
        return spdlog::level::info;
      case config::LogLevel::warning:
        return spdlog::level::warn;
      case config::LogLevel::error:
        return spdlog::level::err;
    }
    return spdlog::level::info;
  }();
  return {level, settings.log_format};
}

std::unique_ptr<spdlog::formatter> make_log_formatter(config::LogFormat format, bool to_journal) {
  if (format == config::LogFormat::json) return std::make_unique<JsonFormatter>();
  if (to_journal) return std::make_unique<JournalFormatter>();
  return std::make_unique<TextFormatter>();
}

bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

LimitedSink::LimitedSink(std::shared_ptr<spdlog::sinks::sink> inner, core::RateLimit limit, Now now)
    : inner_(std::move(inner)), limit_(limit), now_(std::move(now)) {}

LimitedSink::~LimitedSink() {
  for (auto& [name, site] : sites_)
    tell(site, site.limit.take_suppressed());
}

void LimitedSink::sink_it_(const log_msg& message) {
  const Extra extra = extra_of(message);
  if (extra.site == nullptr) return inner_->log(message);
  Site& site = sites_.try_emplace(extra.site, Site{limit_, message.level, {}}).first->second;
  const auto now = now_();
  tell(site, site.limit.take_suppressed(now));
  if (site.limit.allow(now)) return inner_->log(message);
  site.level = message.level;
  site.last.assign(message.payload.data(), message.payload.size());
}

void LimitedSink::tell(const Site& site, std::uint64_t suppressed) {
  if (suppressed == 0) return;
  const std::string text = fmt::format("{} more like this: {}", suppressed, site.last);
  inner_->log(log_msg({}, site.level, text));
}

void LimitedSink::flush_() {
  const auto now = now_();
  for (auto& [name, site] : sites_)
    tell(site, site.limit.take_suppressed(now));
  inner_->flush();
}

void LimitedSink::set_formatter_(std::unique_ptr<spdlog::formatter> formatter) {
  inner_->set_formatter(std::move(formatter));
}

Log::Log(const LogOptions& options) {
  auto lines = std::make_shared<StderrSink>();
  auto limited = std::make_shared<LimitedSink>(std::move(lines), core::RateLimit(kBurst, kPer));
  limited->set_formatter(make_log_formatter(options.format, stderr_is_journal()));
  auto logger = std::make_shared<spdlog::logger>("nfsteer", std::move(limited));
  logger->set_level(options.level);
  spdlog::set_default_logger(std::move(logger));
}

Log::~Log() {
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("silent", std::make_shared<spdlog::sinks::null_sink_mt>()));
}

void Log::flush() {
  spdlog::default_logger_raw()->flush();
}

void log_with(const boost::json::object& values, spdlog::level::level_enum level, std::string_view message) {
  log_with_extra({nullptr, &values}, level, message);
}

void log_of_site(const char* site, spdlog::level::level_enum level, std::string_view message) {
  log_with_extra({site, nullptr}, level, message);
}

}  // namespace nfsteer::process
