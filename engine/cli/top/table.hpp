// The table of services and backends: which of its columns fit a width, and its lines. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/top/text.hpp"
#include "cli/top/top_model.hpp"

namespace nfsteer::cli::top {

// In the order in which they stand.
enum class Column {
  backend,
  state,
  health,
  weight,
  effective,
  active,
  opened,
  total,
  unanswered,
  share,
  expected,
  bar,
  last_check,
};

struct PlacedColumn {
  Column column;
  std::size_t begin = 0;
  std::size_t width = 0;
};

struct TableOptions {
  std::size_t width = 80;
  bool unicode = true;
  bool styled = false;
};

// What is to be shown.
struct TableNeeds {
  std::size_t endpoint = 0;  // columns of the longest one
  std::size_t words = 0;     // columns of what a service's line says before its sums
  bool has_checks = false;   // some backend is checked
};

TableNeeds needs_of(const ServiceSample& service);

class Table {
 public:
  // Of the columns the most important ones that fit. Backend and new connections per second are always there,
  // cut off by a terminal that is narrower still.
  Table(const TableOptions& options, const TableNeeds& needs);

  std::string heading() const;
  std::string service(const ServiceSample& service, const ServiceRates& rates, bool followed) const;
  // `whole`: the share that fills a bar, see whole_bar().
  std::string backend(const BackendSample& backend, const BackendRates& rates, double whole,
                      bool followed) const;

 private:
  void place(std::size_t missing, std::size_t spare);

  TableOptions options_;
  std::vector<PlacedColumn> columns_;
};

// The bars of a service are drawn to one scale: that of its largest share, or largest expected share.
double whole_bar(const ServiceSample& service, const ServiceRates& rates);

}  // namespace nfsteer::cli::top
