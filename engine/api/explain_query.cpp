#include "api/explain_query.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "api/percent.hpp"
#include "config/places.hpp"
#include "core/address.hpp"
#include "core/service.hpp"

namespace nfsteer::api {
namespace {

using Parameters = std::map<std::string, std::string, std::less<>>;

constexpr std::array<std::string_view, 4> kNames{"protocol", "source", "destination", "live"};

struct Endpoint {
  core::IpAddress address;
  std::uint16_t port = 0;
};

// What an answer in UTF-8 can repeat, whatever bytes came.
std::string shown(std::string_view text) {
  std::string plain(text);
  std::ranges::replace_if(
      plain, [](char each) { return each < 0x20 || each > 0x7e; }, '?');
  return config::shown(plain);
}

core::Result<Parameters> parameters_in(std::string_view target) {
  Parameters parameters;
  const auto mark = target.find('?');
  std::string_view query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const auto equals = std::min(pair.find('='), pair.size());
    const std::string_view name = pair.substr(0, equals);
    if (std::ranges::find(kNames, name) == kNames.end())
      return core::usage_error("query", fmt::format("there is no parameter {}", shown(name)),
                               "there are protocol, source, destination and live");
    const auto value = percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
    if (!value)
      return core::usage_error(std::string(name), "has a % that two hexadecimal digits do not follow",
                               "write % itself as %25");
    if (!parameters.emplace(name, *value).second)
      return core::usage_error(std::string(name), "is given twice", "give it once");
  }
  return parameters;
}

core::Result<std::string> required(const Parameters& parameters, std::string_view name) {
  const auto found = parameters.find(name);
  if (found != parameters.end()) return found->second;
  return core::usage_error(std::string(name), "is missing",
                           "ask for instance ?protocol=tcp&source=10.0.0.10:40000&destination=10.0.0.40:80");
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

core::Result<core::IpAddress> parse_host(const std::string& name, std::string_view text) {
  const auto address = core::IpAddress::parse(text);
  if (!address) return core::usage_error(name, fmt::format("{} is no IPv4 or IPv6 address", shown(text)));
  if (!address->is_host())
    return core::usage_error(name, fmt::format("{} is no address of one host", shown(text)));
  return *address;
}

core::Result<Endpoint> parse_endpoint(const std::string& name, std::string_view text, bool has_port) {
  if (!has_port) {
    if (core::IpAddress::parse(text) == std::nullopt)
      return core::usage_error(name, shown(text) + " is no IPv4 or IPv6 address",
                               "icmp has no ports: write ADDR");
    const auto address = parse_host(name, text);
    if (!address) return tl::unexpected(address.error());
    return Endpoint{*address, 0};
  }
  const auto colon = text.rfind(':');
  std::string_view host = text.substr(0, std::min(colon, text.size()));
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (colon == std::string_view::npos || (!bracketed && host.find(':') != std::string_view::npos))
    return core::usage_error(name, shown(text) + " has no port",
                             "write ADDR:PORT, an IPv6 address in brackets: [ADDR]:PORT");
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = parse_host(name, host);
  if (!address) return tl::unexpected(address.error());
  if (bracketed == address->is_v4())
    return core::usage_error(name, shown(text) + " has brackets around an IPv4 address", "write ADDR:PORT");
  const auto port = parse_port(text.substr(colon + 1));
  if (!port)
    return core::usage_error(name, shown(text.substr(colon + 1)) + " is no port",
                             "write a number from 1 to 65535");
  return Endpoint{*address, *port};
}

// The IANA number; IPPROTO_ICMP stands for ICMPv6, too.
core::Result<std::uint8_t> parse_protocol(const std::string& text) {
  if (text == "icmp") return std::uint8_t{IPPROTO_ICMP};
  const auto protocol = core::parse_protocol(text);
  if (protocol && *protocol != core::Protocol::any) return static_cast<std::uint8_t>(*protocol);
  return core::usage_error("protocol", shown(text) + " is no protocol known here",
                           "write tcp, udp, sctp or icmp");
}

core::Result<bool> parse_live(const Parameters& parameters) {
  const auto found = parameters.find("live");
  if (found == parameters.end() || found->second == "false") return false;
  if (found->second == "true") return true;
  return core::usage_error("live", shown(found->second) + " is neither true nor false");
}

core::FlowKey flow_of(std::uint8_t protocol, const Endpoint& source, const Endpoint& destination) {
  core::FlowKey flow;
  flow.family = source.address.family();
  flow.protocol =
      protocol == IPPROTO_ICMP && !source.address.is_v4() ? std::uint8_t{IPPROTO_ICMPV6} : protocol;
  std::ranges::copy(source.address.bytes(), flow.source.begin());
  std::ranges::copy(destination.address.bytes(), flow.destination.begin());
  flow.source_port = source.port;
  flow.destination_port = destination.port;
  return flow;
}

}  // namespace

core::Result<ExplainQuery> parse_explain_query(std::string_view target) {
  const auto parameters = parameters_in(target);
  if (!parameters) return tl::unexpected(parameters.error());
  const auto live = parse_live(*parameters);
  if (!live) return tl::unexpected(live.error());
  const auto protocol = required(*parameters, "protocol").and_then(parse_protocol);
  if (!protocol) return tl::unexpected(protocol.error());
  std::array<Endpoint, 2> ends;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const std::string name(i == 0 ? "source" : "destination");
    const auto end = required(*parameters, name).and_then([&](const std::string& text) {
      return parse_endpoint(name, text, *protocol != IPPROTO_ICMP);
    });
    if (!end) return tl::unexpected(end.error());
    ends[i] = *end;
  }
  if (ends[0].address.family() != ends[1].address.family())
    return core::usage_error("destination", "is not of the source's family",
                             "give two IPv4 addresses or two IPv6 addresses");
  return ExplainQuery{flow_of(*protocol, ends[0], ends[1]), *live};
}

}  // namespace nfsteer::api
