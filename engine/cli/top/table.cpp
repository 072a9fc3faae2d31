#include "cli/top/table.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace nfsteer::cli::top {
namespace {

constexpr std::size_t kIndent = 2;  // of backends under their service
constexpr std::size_t kNameMin = 12;
constexpr std::size_t kWordsMax = 64;  // what a service's words may ask of a wide screen
constexpr std::size_t kBarMax = 40;
constexpr std::size_t kLastCheckMax = 30;

constexpr Column kFirstSum = Column::active;  // of those in a service's line; its words end before it

struct ColumnKind {
  Column column;
  std::string_view heading;
  std::size_t width;             // at least
  bool is_number;                // stands at the right
  bool yields_to_words = false;  // of the services, where there is no room for both
};

// By importance.
constexpr std::array<ColumnKind, 13> kKinds{{
    {Column::backend, "service / backend", kNameMin, false},
    {Column::opened, "new/s", 7, true},
    {Column::state, "state", 11, false},
    {Column::share, "share", 6, true},
    {Column::bar, "| expected", 10, false},
    {Column::active, "active", 7, true},
    {Column::weight, "weight", 6, true},
    {Column::total, "total", 7, true},
    {Column::effective, "effective", 9, true},
    {Column::health, "health", 7, false, true},
    {Column::unanswered, "unanswered", 10, true, true},
    {Column::expected, "expected", 8, true, true},
    {Column::last_check, "last check", 12, false, true},
}};

const ColumnKind& kind_of(Column column) {
  return *std::ranges::find(kKinds, column, &ColumnKind::column);
}

// Of a state or a health.
Style style_of(std::string_view state) {
  if (state == "down") return Style::alarm;
  constexpr std::array<std::string_view, 4> kCalm{"active", "standby", "up", ""};
  return std::ranges::find(kCalm, state) != kCalm.end() ? Style::plain : Style::warning;
}

std::string description(const ServiceSample& service) {
  return fmt::format("{} {}  {}  {}", service.vip, service.protocol, service.mode, service.policy);
}

struct Cell {
  std::string text;
  Style style = Style::plain;
};

// The sums that stand in a service's line; the other columns are empty there.
Cell cell_of(Column column, const ServiceSample& service, const ServiceRates& rates, bool followed) {
  const auto sum = [&](auto member) {
    std::uint64_t all = 0;
    for (const BackendSample& each : service.backends)
      all += each.*member;
    return all;
  };
  switch (column) {
    case Column::active:
      return {followed ? count_text(sum(&BackendSample::active)) : "-"};
    case Column::opened:
      return {rate_text(rates.opened)};
    case Column::total:
      return {count_text(sum(&BackendSample::opened) + service.unassigned)};
    case Column::unanswered:
      return {followed ? count_text(sum(&BackendSample::unanswered)) : "-"};
    default:
      return {};
  }
}

// The bar is not among them: it needs to know its width.
Cell cell_of(Column column, const BackendSample& backend, const BackendRates& rates, bool followed) {
  switch (column) {
    case Column::backend:
      return {std::string(kIndent, ' ') + backend.endpoint};
    case Column::state:
      return {backend.state, style_of(backend.state)};
    case Column::health:
      return {backend.health.empty() ? "-" : backend.health, style_of(backend.health)};
    case Column::weight:
      return {count_text(backend.weight)};
    case Column::effective:
      return {count_text(backend.effective_weight)};
    case Column::active:
      return {followed ? count_text(backend.active) : "-"};
    case Column::opened:
      return {rate_text(rates.opened)};
    case Column::total:
      return {count_text(backend.opened)};
    case Column::unanswered:
      return {followed ? count_text(backend.unanswered) : "-"};
    case Column::share:
      return {percent_text(rates.share)};
    case Column::expected:
      return {percent_text(backend.expected_share)};
    case Column::last_check:
      return {backend.last_check};
    case Column::bar:
      break;
  }
  return {};
}

void put(Line& line, const PlacedColumn& column, const Cell& cell) {
  line.limit(column.begin + column.width);
  if (kind_of(column.column).is_number) {
    line.add_right(cell.text, column.begin + column.width, cell.style);
  } else {
    line.pad(column.begin).add(cell.text, cell.style);
  }
}

}  // namespace

TableNeeds needs_of(const ServiceSample& service) {
  TableNeeds needs;
  needs.words = service.name.size() + 2 + description(service).size();
  for (const BackendSample& each : service.backends) {
    needs.endpoint = std::max(needs.endpoint, each.endpoint.size());
    needs.has_checks |= !each.health.empty();
  }
  return needs;
}

double whole_bar(const ServiceSample& service, const ServiceRates& rates) {
  double whole = 0;
  for (std::size_t i = 0; i < service.backends.size(); ++i)
    whole = std::max({whole, service.backends[i].expected_share, rates.backends[i].share.value_or(0)});
  return whole;
}

Table::Table(const TableOptions& options, const TableNeeds& needs) : options_(options) {
  const std::size_t wanted = std::max(needs.endpoint + kIndent, kind_of(Column::backend).heading.size());
  // What a narrow screen leaves beside the new connections.
  const std::size_t beside = kind_of(Column::opened).width + 1;
  const std::size_t name =
      std::min(wanted, std::max(kNameMin, options.width - std::min(options.width, beside)));
  std::size_t used = 0;     // with a blank after every column
  std::size_t spanned = 0;  // of that, what a service's words stand in
  const std::size_t words = std::min(needs.words, kWordsMax) + 1;
  for (const ColumnKind& kind : kKinds) {
    if (!needs.has_checks && (kind.column == Column::health || kind.column == Column::last_check)) continue;
    const std::size_t width = (kind.column == Column::backend ? name : kind.width) + 1;
    const std::size_t more_spanned = kind.column < kFirstSum ? width : 0;
    const std::size_t missing = kind.yields_to_words ? words - std::min(words, spanned + more_spanned) : 0;
    if (columns_.size() >= 2 && used + width + missing > options.width + 1) break;
    columns_.push_back({kind.column, 0, width - 1});
    used += width;
    spanned += more_spanned;
  }
  std::ranges::sort(columns_, {}, &PlacedColumn::column);
  place(words - std::min(words, spanned), options.width + 1 - std::min(options.width + 1, used));
}

// `spare` columns go to the words of the services, `missing` ones, then to the bar, then to what the checks
// have said.
void Table::place(std::size_t missing, std::size_t spare) {
  const auto widen = [&](Column column, std::size_t columns) {
    const auto place = std::ranges::find(columns_, column, &PlacedColumn::column);
    if (place == columns_.end()) return;
    const std::size_t more = std::min(spare, columns);
    place->width += more;
    spare -= more;
  };
  widen(Column::backend, missing);
  widen(Column::bar, kBarMax - kind_of(Column::bar).width);
  widen(Column::last_check, kLastCheckMax - kind_of(Column::last_check).width);
  std::size_t begin = 0;
  for (PlacedColumn& each : columns_) {
    each.begin = begin;
    begin += each.width + 1;
  }
}

std::string Table::heading() const {
  Line words(options_.width, false);
  for (const PlacedColumn& each : columns_) {
    std::string text(kind_of(each.column).heading);
    if (each.column == Column::bar && options_.unicode) text = "│ expected";
    put(words, each, {std::move(text)});
  }
  words.limit(options_.width).pad(options_.width);
  return Line(options_.width, options_.styled).add(words.text(), Style::heading).text();
}

std::string Table::service(const ServiceSample& service, const ServiceRates& rates, bool followed) const {
  Line line(options_.width, options_.styled);
  // The words end before the first of the sums.
  const auto is_sum = [](const PlacedColumn& each) { return each.column >= kFirstSum; };
  const std::size_t sums = std::ranges::find_if(columns_, is_sum)->begin;
  line.limit(sums > 0 ? sums - 1 : 0);
  line.add(service.name, Style::strong);
  if (service.panic) line.add("  ").add("PANIC", Style::alarm);
  if (service.on_backup) line.add("  ").add("ON BACKUP", Style::warning);
  if (rates.no_backend.value_or(0) > 0)
    line.add("  ").add(fmt::format("NO BACKEND {}/s", rate_text(rates.no_backend)), Style::alarm);
  line.add("  ").add(description(service));
  for (const PlacedColumn& each : columns_)
    if (const Cell cell = cell_of(each.column, service, rates, followed); !cell.text.empty())
      put(line, each, cell);
  return line.text();
}

std::string Table::backend(const BackendSample& backend, const BackendRates& rates, double whole,
                           bool followed) const {
  Line line(options_.width, options_.styled);
  for (const PlacedColumn& each : columns_) {
    Cell cell = cell_of(each.column, backend, rates, followed);
    if (each.column == Column::bar) {
      cell.text = bar(rates.share, backend.expected_share, whole, each.width, options_.unicode);
    } else {
      cell.text = cut(cell.text, each.width, options_.unicode);
    }
    put(line, each, cell);
  }
  return line.text();
}

}  // namespace nfsteer::cli::top
