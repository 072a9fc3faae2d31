#include "iptc/outline.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "iptc/tables_socket.hpp"
#include "iptc/xtables.hpp"

namespace nfsteer::rules {

namespace {

// struct ip6t_getinfo has the same members in the same places.
static_assert(sizeof(ipt_getinfo) == sizeof(ip6t_getinfo));

TableOutline outline_of(const ipt_getinfo& info) {
  TableOutline outline{.entries = info.num_entries, .bytes = info.size};
  std::copy(std::begin(info.hook_entry), std::end(info.hook_entry), outline.begins.begin());
  std::copy(std::begin(info.underflow), std::end(info.underflow), outline.ends.begin());
  return outline;
}

core::Failure failure(const char* thing) {
  return core::system_error(thing, std::strerror(errno));
}

}  // namespace

core::Result<Outlines> read_outlines(const std::vector<TableId>& tables) {
  Outlines outlines;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const auto of_family = [&](const TableId& id) { return id.family == family; };
    if (std::none_of(tables.begin(), tables.end(), of_family)) continue;
    const TablesSocket socket(family);
    if (!socket.open()) return failure("raw socket");
    for (const TableId& id : tables) {
      if (!of_family(id)) continue;
      ipt_getinfo info{};
      set_name(info.name, to_string(id.name));
      if (!socket.get(IPT_SO_GET_INFO, IP6T_SO_GET_INFO, info)) return failure("size of a table of rules");
      outlines.emplace(id, outline_of(info));
    }
  }
  return outlines;
}

}  // namespace nfsteer::rules
