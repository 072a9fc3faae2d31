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

class Table {
 public:
  // Of the columns the most important ones that fit; the first two, backend and new connections per second,
  // are always there, as narrow as need be. `name_width`: what the longest endpoint takes. `has_checks`: some
  // backend is checked.
  Table(const TableOptions& options, std::size_t name_width, bool has_checks);

  std::string heading() const;
  std::string service(const ServiceSample& service, const ServiceRates& rates, bool followed) const;
  // `whole`: the share that fills a bar, see whole_bar().
  std::string backend(const BackendSample& backend, const BackendRates& rates, double whole,
                      bool followed) const;

  const std::vector<PlacedColumn>& columns() const { return columns_; }

 private:
  TableOptions options_;
  std::vector<PlacedColumn> columns_;
};

// The bars of a service are drawn to one scale: that of its largest share, or largest expected share.
double whole_bar(const ServiceSample& service, const ServiceRates& rates);

}  // namespace nfsteer::cli::top
