#include "cli/simulate/plot.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "cli/simulate/report_text.hpp"
#include "config/places.hpp"
#include "core/policy_spec.hpp"
#include "lab/metrics.hpp"
#include "process/run_program.hpp"

namespace nfsteer::cli::simulate {
namespace {

constexpr int kWidth = 1000, kTopHeight = 400, kTimelineHeight = 210, kTitleHeight = 40;  // pixels
constexpr std::size_t kTimelinesMax = 8;
constexpr std::size_t kBarsMax = 16;   // more backends are points
constexpr std::size_t kLinesMax = 16;  // backends of a timeline
constexpr std::size_t kMarksMax = 24;

// In gnuplot's single quotes nothing but the quote itself is special.
std::string in_quotes(std::string_view text) {
  std::string quoted = "'";
  for (const char each : config::one_line(text))
    quoted += each == '\'' ? "''" : std::string(1, each);
  return quoted + "'";
}

std::string name_of(const lab::BackendResult& backend) {
  return core::endpoint_text(backend.backend.address, backend.backend.port);
}

// A part of the page, from the top left; all in parts of the page.
std::string place(double left, double top, double width, double height) {
  return fmt::format("set origin {:.4f},{:.4f}\nset size {:.4f},{:.4f}\n", left, 1 - top - height, width,
                     height);
}

// Share by weight first, then each policy's.
void append_shares(std::string& script, std::span<const Outcome> outcomes) {
  auto to = std::back_inserter(script);
  const auto& backends = outcomes.front().report.backends;
  script += "$shares << EOD\n";
  for (std::size_t i = 0; i < backends.size(); ++i) {
    const auto all = static_cast<double>(std::max<std::uint64_t>(1, outcomes.front().report.decisions));
    fmt::format_to(to, "\"{}\" {:.6g}", name_of(backends[i]), 100 * backends[i].expected / all);
    for (const Outcome& outcome : outcomes) {
      const auto decisions = static_cast<double>(std::max<std::uint64_t>(1, outcome.report.decisions));
      fmt::format_to(to, " {:.6g}",
                     100 * static_cast<double>(outcome.report.backends[i].decisions) / decisions);
    }
    script += '\n';
  }
  script +=
      "EOD\nset title 'Share of the flows'\nset ylabel '%'\nset yrange [0:*]\nset key outside top center "
      "horizontal font ',8'\n";
  const bool has_bars = backends.size() <= kBarsMax;
  if (has_bars)
    script +=
        "set style data histograms\nset style histogram clustered gap 1\nset style fill solid 0.8\n"
        "set xtics rotate by -35 font ',8'\n";
  else
    script += "set style data points\nset xlabel 'backend'\nset pointsize 0.4\n";
  const std::string_view columns = has_bars ? "{}:xtic(1)" : "0:{}";
  script += fmt::format("plot $shares using {} title 'by weight' lc rgb 'gray60'",
                        fmt::format(fmt::runtime(columns), 2));
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    fmt::format_to(to, ", '' using {} title {} lt {}", fmt::format(fmt::runtime(columns), i + 3),
                   in_quotes(core::to_string(outcomes[i].report.policy)), i + 1);
  script += "\nunset style\nunset xlabel\nset xtics norotate font ',9'\nset yrange [*:*]\n";
}

bool has_times(std::span<const Outcome> outcomes) {
  return std::ranges::any_of(outcomes, [](const Outcome& each) { return each.report.response.count() > 0; });
}

// The part of the flows that took longer than x: both tails and quantiles can be read off.
void append_times(std::string& script, std::span<const Outcome> outcomes) {
  auto to = std::back_inserter(script);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    fmt::format_to(to, "$times{} << EOD\n", i);
    const lab::Histogram& times = outcomes[i].report.response;
    times.for_each([&](double value, std::uint64_t up_to) {
      const double longer = static_cast<double>(times.count() - up_to) / static_cast<double>(times.count());
      if (longer > 0) fmt::format_to(to, "{:.6g} {:.6g}\n", value / lab::kMillisecond, longer);
    });
    if (times.count() < 2) script += "1 1\n";  // gnuplot refuses to plot nothing
    script += "EOD\n";
  }
  script +=
      "set title 'Response times'\nset xlabel 'ms'\nset ylabel 'part of the flows that took longer'\n"
      "set logscale xy\nset format y '%g'\nset key inside bottom left vertical font ',8'\nplot ";
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    fmt::format_to(to, "{}$times{} with lines lw 2 lt {} title {}", i == 0 ? "" : ", ", i, i + 1,
                   in_quotes(core::to_string(outcomes[i].report.policy)));
  script += "\nunset logscale\nset format y\nunset xlabel\n";
}

void append_marks(std::string& script, const lab::Report& report, bool with_text) {
  auto to = std::back_inserter(script);
  for (std::size_t i = 0; i < std::min(report.changes.size(), kMarksMax); ++i) {
    const double at = static_cast<double>(report.changes[i].at) / lab::kSecond;
    fmt::format_to(to, "set arrow from {0:.6g},graph 0 to {0:.6g},graph 1 nohead dt 2 lc rgb 'gray40'\n", at);
    if (with_text)
      fmt::format_to(to, "set label {} at {:.6g},graph {:.2f} font ',7' offset 0.3,0\n",
                     in_quotes(report.changes[i].what), at, 0.95 - 0.08 * static_cast<double>(i % 4));
  }
}

void append_timeline(std::string& script, const lab::Report& report, std::size_t index) {
  auto to = std::back_inserter(script);
  const std::size_t backends = std::min(report.backends.size(), kLinesMax);
  fmt::format_to(to, "$line{} << EOD\n", index);
  for (std::size_t slice = 0; slice < report.timeline.size(); ++slice) {
    double sum = 0;
    for (const std::uint32_t each : report.timeline[slice])
      sum += each;
    if (sum == 0) continue;
    fmt::format_to(to, "{:.6g}",
                   (static_cast<double>(slice) + 0.5) * static_cast<double>(report.slice) / lab::kSecond);
    for (std::size_t i = 0; i < backends; ++i)
      fmt::format_to(to, " {:.5g}", 100 * report.timeline[slice][i] / sum);
    script += '\n';
  }
  if (report.decisions == 0) script += "0" + std::string(2 * backends, '0') + "\n";
  fmt::format_to(
      to,
      "EOD\nset title {}\nset ylabel '%'\nset yrange [0:*]\nset key outside right top vertical font ',7'\n",
      in_quotes("Share over time: " + core::to_string(report.policy)));
  append_marks(script, report, index == 0);
  script += "plot ";
  for (std::size_t i = 0; i < backends; ++i)
    fmt::format_to(to, "{}$line{} using 1:{} with lines title {}", i == 0 ? "" : ", ", index, i + 2,
                   in_quotes(name_of(report.backends[i])));
  script += "\nunset arrow\nunset label\n";
}

}  // namespace

core::Result<std::string> plot_format(const std::string& file) {
  for (const char* format : {"svg", "png"})
    if (file.ends_with(std::string(".") + format)) return format;
  return core::usage_error("--plot", config::quoted(file) + " is neither FILE.svg nor FILE.png",
                           "name it so");
}

std::string plot_script(const lab::Scenario& scenario, std::span<const Outcome> outcomes,
                        const std::string& format) {
  const std::size_t timelines = std::min(outcomes.size(), kTimelinesMax);
  const int height = kTitleHeight + kTopHeight + kTimelineHeight * static_cast<int>(timelines);
  const auto part = [&](int pixels) { return static_cast<double>(pixels) / height; };
  std::string script =
      fmt::format("set terminal {} noenhanced size {},{} font 'DejaVu Sans,10' background rgb 'white'\n",
                  format == "svg" ? "svg" : "pngcairo", kWidth, height);
  script += fmt::format("set multiplot\nset label {} at screen 0.5,screen {:.4f} center font ',12'\n",
                        in_quotes(scenario_text(scenario)), 1 - part(kTitleHeight) / 2);
  script += "set grid ytics lc rgb 'gray90'\nset border 3\nset tics nomirror\n";
  const double top = part(kTitleHeight);
  const bool two = has_times(outcomes);
  script += place(0, top, two ? 0.5 : 1, part(kTopHeight));
  append_shares(script, outcomes);
  script += "unset label\n";
  if (two) {
    script += place(0.5, top, 0.5, part(kTopHeight));
    append_times(script, outcomes);
  }
  for (std::size_t i = 0; i < timelines; ++i) {
    script +=
        place(0, top + part(kTopHeight + static_cast<int>(i) * kTimelineHeight), 1, part(kTimelineHeight));
    if (i + 1 == timelines) script += "set xlabel 's'\n";
    append_timeline(script, outcomes[i].report, i);
  }
  return script + "unset multiplot\n";
}

core::Result<void> write_plot(const lab::Scenario& scenario, std::span<const Outcome> outcomes,
                              const std::string& file) {
  const auto format = plot_format(file);
  if (!format) return tl::unexpected(format.error());
  auto ran = process::run_program({"gnuplot", "-d", "-"}, plot_script(scenario, outcomes, *format), file);
  if (!ran) {
    core::Error error = ran.error();
    if (error.thing == "gnuplot") error.mend = "install it (Debian: gnuplot-nox), or leave --plot out";
    return tl::unexpected(std::move(error));
  }
  if (ran->status == 0) return {};
  unlink(file.c_str());
  return core::system_error("gnuplot", fmt::format("failed on the plot: {}", config::one_line(ran->errors)),
                            "it needs version 5 with the terminals svg and pngcairo");
}

}  // namespace nfsteer::cli::simulate
