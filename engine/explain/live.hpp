// Where a real connection went: conntrack's entry beside the explanation of what would become of a new one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/json/array.hpp>

#include "core/result.hpp"
#include "explain/explain.hpp"
#include "netlink/conntrack_message.hpp"

namespace nfsteer::explain {

struct LiveConnection {
  netlink::Connection connection;
  std::optional<std::size_t> backend;  // of the service that takes such connections now, by index
  std::string text;
};

// Pure. `found`: what conntrack has of the explained flow.
std::vector<LiveConnection> explain_live(const Explanation& explanation,
                                         const std::vector<netlink::Connection>& found);

// Asks conntrack: the one connection of this original tuple, or none. ICMP, whose identifier nobody knows
// beforehand: all queries between the two addresses. Errors: conntrack cannot be asked.
core::Result<std::vector<netlink::Connection>> find_connections(const core::FlowKey& flow);

boost::json::array to_json(const std::vector<LiveConnection>& connections);

}  // namespace nfsteer::explain
