#include "explain/live.hpp"

#include <algorithm>
#include <array>

#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "netlink/conntrack_socket.hpp"

namespace nfsteer::explain {
namespace {

namespace json = boost::json;
using netlink::Connection;

// As conntrack(8) prints them; net/netfilter/nf_conntrack_proto_tcp.c, tcp_conntrack_names.
std::string_view name_of(netlink::TcpState state) {
  constexpr std::array<std::string_view, 10> kNames{"NONE",     "SYN_SENT",   "SYN_RECV", "ESTABLISHED",
                                                    "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT",
                                                    "CLOSE",    "SYN_SENT2"};
  return kNames[static_cast<std::size_t>(state)];
}

bool is_translated(const Connection& connection) {
  return (connection.status & IPS_DST_NAT) != 0;
}
bool is_answered(const Connection& connection) {
  return (connection.status & IPS_SEEN_REPLY) != 0;
}

// ICMP has its identifier where the others have a port.
std::uint16_t port_reached(const Connection& connection) {
  return is_icmp(connection.original) ? std::uint16_t{0} : connection.reply.source_port;
}

std::string state_of(const Connection& connection) {
  if (connection.tcp_state != netlink::TcpState::none) return std::string(name_of(connection.tcp_state));
  return is_answered(connection) ? "REPLIED" : "UNREPLIED";
}

std::optional<std::size_t> backend_of(const Explanation& explanation, const Connection& connection) {
  const auto found = std::ranges::find_if(explanation.backends, [&](const BackendChance& each) {
    return each.backend.address == connection.reply.source_address() && each.port == port_reached(connection);
  });
  if (found == explanation.backends.end()) return std::nullopt;
  return static_cast<std::size_t>(found - explanation.backends.begin());
}

std::string text_of(const Explanation& explanation, const LiveConnection& live) {
  const Connection& connection = live.connection;
  if (!is_translated(connection))
    return "conntrack knows it, but its destination is not translated: it goes to the VIP itself";
  const std::string to = fmt::format(
      "it goes to {}", core::endpoint_text(connection.reply.source_address(), port_reached(connection)));
  if (!explanation.service) return to + ", translated by somebody else or before the services changed";
  if (!live.backend) return fmt::format("{}, which is no backend of {} now", to, explanation.service->name);
  return fmt::format("{}, a backend of {}", to, explanation.service->name);
}

}  // namespace

std::vector<LiveConnection> explain_live(const Explanation& explanation,
                                         const std::vector<Connection>& found) {
  std::vector<LiveConnection> all;
  for (const Connection& each : found) {
    LiveConnection& live = all.emplace_back();
    live.connection = each;
    live.backend = backend_of(explanation, each);
    live.text = text_of(explanation, live);
  }
  return all;
}

core::Result<std::vector<Connection>> find_connections(const core::FlowKey& flow) {
  auto table = netlink::ConntrackTable::open();
  if (!table) return tl::unexpected(table.error());
  std::vector<Connection> found;
  if (!is_icmp(flow)) {
    auto connection = table->get(flow);
    if (!connection) return tl::unexpected(connection.error());
    if (*connection) found.push_back(**connection);
    return found;
  }
  const auto read = table->read(
      flow.family,
      [&](const Connection& each) {
        if (each.original.protocol == flow.protocol && each.original.source == flow.source &&
            each.original.destination == flow.destination)
          found.push_back(each);
      },
      [&] { found.clear(); });
  if (!read) return tl::unexpected(read.error());
  return found;
}

json::array to_json(const std::vector<LiveConnection>& connections) {
  json::array all;
  for (const LiveConnection& each : connections) {
    const Connection& connection = each.connection;
    json::object live{{"destination", connection.reply.source_address().to_string()},
                      {"port", port_reached(connection)},
                      {"client_seen_as", connection.reply.destination_address().to_string()},
                      {"translated", is_translated(connection)},
                      {"state", state_of(connection)},
                      {"answered", is_answered(connection)},
                      {"backend", nullptr},
                      {"text", each.text}};
    if (each.backend) live["backend"] = *each.backend;
    if (is_icmp(connection.original)) live["identifier"] = connection.original.source_port;
    all.push_back(std::move(live));
  }
  return all;
}

}  // namespace nfsteer::explain
