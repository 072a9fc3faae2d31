// The servers of a scenario: what a configuration says of backends, and how they behave.
#include <string>
#include <vector>

#include <fmt/format.h>

#include "config/backend_text.hpp"
#include "config/config.hpp"
#include "config/fields.hpp"
#include "config/readers.hpp"
#include "config/validate_parts.hpp"
#include "experiment/scenario_reader.hpp"
#include "experiment/values.hpp"

namespace nfsteer::experiment {
namespace {

using config::Field;
using config::Place;
using config::RawValue;
using core::Result;
using lab::Server;

constexpr std::uint64_t kConcurrencyMax = 1'000'000;

Result<void> read_backend_part(const Place& place, Server& server) {
  return config::read_backend_field(place, server.backend);
}

Result<void> read_concurrency(const Place& place, Server& server) {
  return config::store(config::read_number(place, 0, kConcurrencyMax,
                                           "write how many flows it serves at a time, 0 for all that come"),
                       server.concurrency);
}

Result<void> read_queue(const Place& place, Server& server) {
  return config::store(config::read_number(place, 0, Server::kNoLimit - 1,
                                           "write how many flows may wait, or leave it out for all"),
                       server.queue_max);
}

Result<void> read_speed(const Place& place, Server& server) {
  return config::store(read_decimal(place, 0.001, 1000, "write what service times are divided by"),
                       server.speed);
}

Result<void> read_bandwidth(const Place& place, Server& server) {
  return config::store(read_decimal(place, 0, 1e15, "write bytes per second, 0 for no limit"),
                       server.bandwidth);
}

Result<void> read_rtt(const Place& place, Server& server) {
  return config::store(read_times(place, lab::Shape::constant), server.rtt);
}

constexpr Field<Server> kServerFields[] = {
    {"address", read_backend_part},
    {"port", read_backend_part},
    {"weight", read_backend_part},
    {"state", read_backend_part},
    {"backup", read_backend_part},
    {"data", read_backend_part},
    {"concurrency", read_concurrency},
    {"queue", read_queue},
    {"speed", read_speed},
    {"bandwidth", read_bandwidth},
    {"rtt", read_rtt},
};

constexpr Field<Server> kCommonFields[] = {
    {"weight", read_backend_part}, {"concurrency", read_concurrency}, {"queue", read_queue},
    {"speed", read_speed},         {"bandwidth", read_bandwidth},     {"rtt", read_rtt},
};

// 10.0.0.1 and on, or fd00::1 and on.
core::IpAddress address_of(core::Family family, std::uint32_t index) {
  std::array<std::uint8_t, 16> bytes{};
  const std::size_t last = family == core::Family::ipv4 ? 3 : 15;
  bytes[0] = family == core::Family::ipv4 ? 10 : 0xfd;
  bytes[last - 1] = static_cast<std::uint8_t>((index + 1) >> 8);
  bytes[last] = static_cast<std::uint8_t>(index + 1);
  return core::IpAddress::from_bytes(family, {bytes.data(), last + 1});
}

Result<void> make_servers(const Place& place, Document& document) {
  const auto count =
      config::read_number(place, 1, config::kBackendsMax, "write how many backends, or a list of them");
  if (!count) return tl::unexpected(count.error());
  for (std::uint32_t index = 0; index < *count; ++index) {
    Server& server = document.scenario.servers.emplace_back(document.server);
    server.backend.address = address_of(document.scenario.vip.family(), index);
  }
  return {};
}

}  // namespace

Result<Server> read_server(const Place& place, const Server& base) {
  if (place.value().kind == RawValue::Kind::text) {
    const auto expanded = config::expand_backend(place);
    if (!expanded) return tl::unexpected(expanded.error());
    return read_server(place.instead(*expanded), base);
  }
  Server server = base;
  if (auto read =
          config::read_fields(place, kServerFields, server,
                              "write an address, or a map with address, weight, concurrency and others");
      !read)
    return tl::unexpected(read.error());
  if (auto has = config::require(place, "address", "add address: ADDRESS"); !has)
    return tl::unexpected(has.error());
  return server;
}

Result<void> read_server_defaults(const Place& place, Server& base) {
  return config::read_fields(place, kCommonFields, base, "write a map of what all backends have in common");
}

Result<void> read_servers(const Place& place, Document& document) {
  if (place.value().kind == RawValue::Kind::text) return make_servers(place, document);
  if (auto list = config::expect_list(place, config::kBackendsMax, "write a list of backends, or a number");
      !list)
    return list;
  for (std::size_t i = 0; i < place.value().children.size(); ++i) {
    auto server = read_server(place.item(i), document.server);
    if (!server) return tl::unexpected(server.error());
    document.scenario.servers.push_back(*std::move(server));
  }
  return {};
}

}  // namespace nfsteer::experiment
