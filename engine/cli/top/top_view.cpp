#include "cli/top/top_view.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <numeric>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "cli/top/table.hpp"
#include "cli/top/text.hpp"
#include "cli/top/worker_lines.hpp"

namespace nfsteer::cli::top {
namespace {

// Lower screens go without the heading, the footer, the second line and the workers, in this order backwards.
constexpr std::size_t kHeightOfFooter = 4;
constexpr std::size_t kHeightOfHeading = 6;
constexpr std::size_t kHeightOfAll = 10;
constexpr std::size_t kEndpointMax = 47;  // columns: an IPv6 address in brackets and a port

constexpr std::array<std::string_view, 22> kHelp{
    "nfsteer top",
    "",
    "  q, Ctrl-C       end",
    "  j k, arrows     scroll by a line; space, PgDn, PgUp: by a page; g, G: to an end",
    "  s               sort backends: as configured, by new/s, by active",
    "  f, /            show services whose name holds a text; Enter keeps, Esc drops it",
    "  p               pause",
    "  Ctrl-L          draw anew",
    "",
    "  batch           packets per batch of verdicts",
    "  dropped         by the kernel: the queue was full, or the engine's socket was",
    "  state           active, filling (slow start), draining, standby (a backup that",
    "                  is not needed), starting (no check has ended), down, maintenance",
    "  effective       the weight that is gone by now",
    "  new/s           new connections per second since the sample before",
    "  total           of them since the engine's start",
    "  unanswered      of them, those that the backend has not answered",
    "  share           of the service's new connections in the last 10 samples; the mark",
    "                  on the bar is where the weights want its end",
    "  -               not known: conntrack is not followed, or there is no sample before",
    "",
    "any other key leads back",
};

std::string lower(std::string_view text) {
  std::string copy(text);
  for (char& each : copy)
    each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
  return copy;
}

class Composer {
 public:
  Composer(const Sample& sample, const Rates& rates, const ViewState& state, const std::string& notice,
           const ViewOptions& options)
      : sample_(sample), rates_(rates), state_(state), notice_(notice), options_(options) {
    const std::string part = lower(state.filter);
    for (std::size_t i = 0; i < sample.services.size(); ++i)
      if (part.empty() || lower(sample.services[i].name).find(part) != std::string::npos) shown_.push_back(i);
  }

  Screen compose() {
    const bool is_plain = options_.height == 0;
    const auto has_room = [&](std::size_t height) { return is_plain || options_.height >= height; };
    const bool has_all = has_room(kHeightOfAll);
    if (has_all) add_engine();
    push(notice_.empty() ? totals() : line().add(notice_, Style::alarm));
    if (has_all) add_top_workers();
    const Table table = make_table();
    if (has_room(kHeightOfHeading)) screen_.lines.push_back(table.heading());
    const std::size_t footer = !is_plain && has_room(kHeightOfFooter) ? 1 : 0;
    const std::size_t lines = body_lines();
    const std::size_t room =
        is_plain ? lines : options_.height - std::min(options_.height, screen_.lines.size() + footer);
    screen_.limits = {lines - std::min(lines, room), room > 1 ? room - 1 : 1};
    add_body(table, room);
    if (footer != 0) add_footer();
    return std::move(screen_);
  }

 private:
  Line line() const { return {options_.width, options_.styled}; }
  void push(const Line& line) { screen_.lines.push_back(line.text()); }

  std::size_t scroll() const { return std::min(state_.scroll, screen_.limits.scroll_max); }

  void add_engine() {
    Line text = line();
    text.add(fmt::format("nfsteer {}", sample_.version), Style::strong);
    text.add(fmt::format("  pid {}  up {}  revision {}  rule commits {}", sample_.pid,
                         duration_text(sample_.uptime_s), sample_.revision, sample_.rule_commits));
    if (sample_.rule_errors > 0)
      text.add("  ").add(fmt::format("rule errors {}", sample_.rule_errors), Style::alarm);
    push(text);
  }

  Line totals() const {
    Line text = line();
    text.add(fmt::format("new {}/s  packets seen {}/s  conntrack ", rate_text(rates_.opened),
                         rate_text(rates_.packets)));
    if (sample_.conntrack_entries == 0 && sample_.conntrack_max == 0) {
      text.add("-");
    } else {
      const double part = static_cast<double>(sample_.conntrack_entries) /
                          static_cast<double>(std::max<std::uint64_t>(1, sample_.conntrack_max));
      text.add(
          fmt::format("{} of {} ({})", sample_.conntrack_entries, sample_.conntrack_max, percent_text(part)),
          part > 0.9 ? Style::alarm : Style::plain);
    }
    if (!sample_.followed) text.add(", not followed", Style::faint);
    return text;
  }

  // The workers stand above the services while they take no more than a quarter of the screen, else below
  // them, with a line of sums above.
  bool has_workers_on_top() const {
    return options_.height == 0 ||
           (options_.height >= kHeightOfAll && sample_.workers.size() + 1 <= options_.height / 4);
  }

  void add_top_workers() {
    if (!has_workers_on_top()) return push(worker_sums(sample_, line()));
    push(worker_heading(line()));
    for (std::size_t i = 0; i < sample_.workers.size(); ++i)
      push(worker_line(i, sample_, rates_, line()));
  }

  Table make_table() const {
    TableNeeds needs;
    for (const std::size_t i : shown_) {
      const TableNeeds each = needs_of(sample_.services[i]);
      needs = {std::max(needs.endpoint, each.endpoint), std::max(needs.words, each.words),
               needs.has_checks || each.has_checks};
    }
    needs.endpoint = std::min(needs.endpoint, kEndpointMax);
    return {{options_.width, options_.unicode, options_.styled}, needs};
  }

  std::size_t body_lines() const {
    std::size_t lines = has_workers_on_top() ? 0 : sample_.workers.size() + 1;
    for (const std::size_t i : shown_)
      lines += 1 + sample_.services[i].backends.size();
    return lines;
  }

  // The order in which the backends of a service are shown.
  std::vector<std::size_t> order(std::size_t service) const {
    const std::vector<BackendSample>& backends = sample_.services[service].backends;
    const std::vector<BackendRates>& rates = rates_.services[service].backends;
    std::vector<std::size_t> indexes(backends.size());
    std::iota(indexes.begin(), indexes.end(), std::size_t{0});
    const auto sort_by = [&](auto value) {
      std::stable_sort(indexes.begin(), indexes.end(),
                       [&](std::size_t left, std::size_t right) { return value(left) > value(right); });
    };
    if (state_.sort == SortBy::rate) sort_by([&](std::size_t i) { return rates[i].opened.value_or(0); });
    if (state_.sort == SortBy::active) sort_by([&](std::size_t i) { return backends[i].active; });
    return indexes;
  }

  // `room` lines of the table from state_.scroll on. The first one is always that of a service, so that the
  // backends below it have a name: it covers the line that it is not.
  void add_body(const Table& table, std::size_t room) {
    std::size_t skip = scroll();
    for (const std::size_t i : shown_) {
      if (room == 0) return;
      const std::size_t lines = 1 + sample_.services[i].backends.size();
      if (skip >= lines) {
        skip -= lines;
        continue;
      }
      add_service(table, i, skip, room);
      skip = 0;
    }
    if (shown_.empty() && room > 0) {
      push(line().add(sample_.services.empty() ? "no services" : "no service has that in its name",
                      Style::faint));
      --room;
    }
    for (std::size_t i = skip; i < sample_.workers.size() + 1 && room > 0 && !has_workers_on_top();
         ++i, --room)
      push(i == 0 ? worker_heading(line()) : worker_line(i - 1, sample_, rates_, line()));
  }

  void add_service(const Table& table, std::size_t index, std::size_t skip, std::size_t& room) {
    const ServiceSample& service = sample_.services[index];
    const ServiceRates& rates = rates_.services[index];
    screen_.lines.push_back(table.service(service, rates, sample_.followed));
    --room;
    if (room == 0) return;
    const std::vector<std::size_t> backends = order(index);
    const double whole = whole_bar(service, rates);
    for (std::size_t at = skip; at < backends.size() && room > 0; ++at, --room) {
      const std::size_t i = backends[at];
      screen_.lines.push_back(table.backend(service.backends[i], rates.backends[i], whole, sample_.followed));
    }
  }

  void add_footer() {
    while (screen_.lines.size() + 1 < options_.height)
      screen_.lines.emplace_back();
    Line text = line();
    if (state_.is_typing) {
      text.add("filter: ", Style::strong)
          .add(state_.filter)
          .add("_")
          .add("  Enter keeps, Esc drops", Style::faint);
      return push(text);
    }
    if (state_.is_paused) text.add("PAUSED", Style::warning).add("  ");
    text.add(fmt::format("q quit  h help  s sort: {}  / filter", to_string(state_.sort)));
    if (!state_.filter.empty()) text.add(": ").add(state_.filter, Style::strong);
    text.add(fmt::format("  p pause  {}/{} services", shown_.size(), sample_.services.size()));
    if (screen_.limits.scroll_max > 0)
      text.add(fmt::format("  {}%", 100 * scroll() / screen_.limits.scroll_max));
    push(text);
  }

  const Sample& sample_;
  const Rates& rates_;
  const ViewState& state_;
  const std::string& notice_;
  const ViewOptions& options_;
  std::vector<std::size_t> shown_;  // services that the filter lets through
  Screen screen_;
};

Screen help_screen(const ViewOptions& options) {
  Screen screen;
  for (const std::string_view each : kHelp)
    if (screen.lines.size() < options.height)
      screen.lines.push_back(Line(options.width, options.styled).add(each).text());
  return screen;
}

}  // namespace

Screen render(const Sample& sample, const Rates& rates, const ViewState& state, const std::string& notice,
              const ViewOptions& options) {
  if (state.is_help) return help_screen(options);
  return Composer(sample, rates, state, notice, options).compose();
}

}  // namespace nfsteer::cli::top
