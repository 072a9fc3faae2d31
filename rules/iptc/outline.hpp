// What the kernel says of a table without reading it: how many rules, and where the built-in chains begin and
// end (IPT_SO_GET_INFO, get_info() in net/ipv4/netfilter/ip_tables.c). Legacy tables tell nobody that they
// have changed; comparing outlines is the cheapest way to see it, some microseconds for all of them. A change
// that keeps every size does not show.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "core/result.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

struct TableOutline {
  unsigned entries = 0;
  unsigned bytes = 0;
  std::array<unsigned, 5> begins{};  // of the built-in chains, in bytes, in hook order
  std::array<unsigned, 5> ends{};
  friend bool operator==(const TableOutline&, const TableOutline&) = default;
};

using Outlines = std::map<TableId, TableOutline>;

// Of tables that are in use: the question would bring any other one to life. Errors: no privilege, no
// descriptor left.
core::Result<Outlines> read_outlines(const std::vector<TableId>& tables);

}  // namespace nfsteer::rules
