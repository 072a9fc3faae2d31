// `nfsteer top`: a live view on a terminal, plain text or JSON elsewhere.
#include <unistd.h>

#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "cli/api_client.hpp"
#include "cli/command_line.hpp"
#include "cli/top/live_view.hpp"
#include "cli/top/terminal.hpp"
#include "cli/top/top_json.hpp"
#include "cli/top/top_model.hpp"
#include "cli/top/top_view.hpp"

namespace nfsteer::cli {
namespace {

constexpr double kInterval_s_min = 0.1;
constexpr double kInterval_s_max = 60;
constexpr std::size_t kPlainWidth = 132;  // columns where no terminal says how many

struct Settings {
  std::string control;
  double interval_s = 1;
  std::optional<std::uint64_t> count;
  bool as_json = false;
  bool ascii = false;
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// As the terminal's user has set it, whether or not this host has that locale's files.
bool is_utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value = environment(name);
    if (value.empty()) continue;
    for (char& each : value)
      each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

std::size_t plain_width() {
  if (isatty(STDOUT_FILENO) != 0) return top::size_of_terminal(STDOUT_FILENO).columns;
  const std::string columns = environment("COLUMNS");
  std::size_t width = 0;
  const auto read = std::from_chars(columns.data(), columns.data() + columns.size(), width);
  const bool is_good = read.ec == std::errc() && width >= 20 && width <= 1000;
  return is_good ? width : kPlainWidth;
}

core::Result<top::Sample> ask(const Settings& settings) {
  const auto answer = call_api(settings.control, "GET", "/v1/status");
  if (!answer) return tl::unexpected(answer.error());
  return top::read_sample(*answer);
}

std::string plain_text(const top::Model& model, const Settings& settings) {
  const top::Screen screen = top::render(model.sample(), model.rates(), {}, {},
                                         {plain_width(), 0, !settings.ascii && is_utf8_locale(), false});
  std::string text;
  for (const std::string& line : screen.lines)
    text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  return text;
}

// One print per interval. An engine that is away counts as one, so that `--count` always ends.
core::Result<void> print_samples(const Settings& settings, top::Sample first) {
  using Clock = std::chrono::steady_clock;
  const std::uint64_t count =
      settings.count.value_or(isatty(STDOUT_FILENO) != 0 && !settings.as_json ? 0 : 1);
  const auto interval =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(settings.interval_s));
  top::Model model;
  model.add(std::move(first));
  Clock::time_point next = Clock::now();
  for (std::uint64_t done = 0; count == 0 || done < count; ++done) {
    next = std::max(next + interval, Clock::now());
    std::this_thread::sleep_until(next);
    auto sample = ask(settings);
    if (sample) {
      model.add(std::move(*sample));
    } else {
      model.lose();
    }
    if (settings.as_json) {
      std::cout << (sample ? boost::json::serialize(top::to_json(model.sample(), model.rates()))
                           : boost::json::serialize(boost::json::object{{"error", sample.error().line()}}))
                << '\n';
    } else {
      std::cout << (done > 0 ? "\n" : "")
                << (sample ? plain_text(model, settings) : "engine away: " + sample.error().line() + '\n');
    }
    if (!std::cout.flush()) return core::system_error("standard output", "it takes no more");
  }
  return {};
}

core::Result<void> run_top(const Settings& settings) {
  if (!(settings.interval_s >= kInterval_s_min && settings.interval_s <= kInterval_s_max))
    return core::usage_error("--interval",
                             fmt::format("{} is not a number of seconds from {} to {}", settings.interval_s,
                                         kInterval_s_min, kInterval_s_max));
  auto first = ask(settings);
  if (!first) return tl::unexpected(first.error());
  // A dumb terminal has no screen to draw on.
  const std::string kind = environment("TERM");
  const bool is_screen =
      isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0 && !kind.empty() && kind != "dumb";
  if (!is_screen || settings.as_json) return print_samples(settings, std::move(*first));
  top::LiveSettings live;
  live.control = settings.control;
  live.interval = std::chrono::duration<double>(settings.interval_s);
  live.count = settings.count.value_or(0);
  live.unicode = !settings.ascii && is_utf8_locale();
  live.styled = environment("NO_COLOR").empty();
  return top::live_view(live, std::move(*first));
}

}  // namespace

void add_top(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("top", "Watch a running engine; h shows the keys");
  const auto control = add_control_flag(*command);
  const auto settings = std::make_shared<Settings>();
  command->add_option("--interval", settings->interval_s, "seconds between samples, 0.1 to 60");
  command->add_option("--count", settings->count,
                      "end after so many; 0: do not; without a terminal, and for --json, 1 is the default");
  command->add_flag("--json", settings->as_json, "print one JSON object per interval");
  command->add_flag("--ascii", settings->ascii,
                    "draw bars in ASCII; the default where the locale is not UTF-8");
  command->callback([=, &action] {
    action = [=] {
      settings->control = *control;
      return run_top(*settings);
    };
  });
}

}  // namespace nfsteer::cli
