#include <algorithm>
#include <cassert>
#include <chrono>
#include <iterator>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "config/backend_text.hpp"
#include "config/config.hpp"
#include "config/conflicts.hpp"
#include "config/durations.hpp"
#include "config/validate_parts.hpp"

namespace nfsteer::config {
namespace {

using core::AdminState;
using core::Backend;
using core::Mode;
using core::OnBackendLoss;
using core::OnNoBackend;
using core::Protocol;
using core::Result;
using core::Service;
using namespace std::chrono_literals;

Result<void> read_backend_data(const Place& place, Backend& backend) {
  const std::string mend =
      fmt::format("write up to {} bytes for the policy, on one line", core::kBackendDataMax);
  const auto text = read_text(place, mend);
  if (!text) return tl::unexpected(text.error());
  if (text->size() > core::kBackendDataMax)
    return place.fail(fmt::format("{} has {} bytes", quoted(*text), text->size()), mend);
  if (one_line(*text) != *text)
    return place.fail(fmt::format("{} has control characters", quoted(*text)), mend);
  backend.data = *text;
  return {};
}

constexpr Field<Backend> kBackendFields[] = {
    {"address",
     [](const Place& place, Backend& backend) { return store(read_address(place), backend.address); }},
    {"port",
     [](const Place& place, Backend& backend) {
       return store(read_number(place, 1, kPortMax,
                                "write one port, or leave it out for the one that the client asked for"),
                    backend.port);
     }},
    {"weight",
     [](const Place& place, Backend& backend) {
       return store(
           read_number(place, 0, core::kWeightMax, "write the share of new connections as such a number"),
           backend.weight);
     }},
    {"state",
     [](const Place& place, Backend& backend) {
       return store(read_choice(place, {AdminState::active, AdminState::drain, AdminState::maintenance}),
                    backend.state);
     }},
    {"backup", [](const Place& place, Backend& backend) { return store(read_truth(place), backend.backup); }},
    {"data", read_backend_data},
};

Result<Backend> read_backend(const Place& place) {
  constexpr std::string_view kMend =
      "write an address, or a map with address, port and weight; quote a text with brackets";
  if (place.value().kind == RawValue::Kind::text) {
    const auto expanded = expand_backend(place);
    if (!expanded) return tl::unexpected(expanded.error());
    return read_backend(place.instead(*expanded));
  }
  Backend backend;
  if (auto read = read_fields(place, kBackendFields, backend, kMend); !read)
    return tl::unexpected(read.error());
  if (auto has = require(place, "address", "add address: ADDRESS"); !has) return tl::unexpected(has.error());
  return backend;
}

Result<void> read_service_name(const Place& place, Service& service) {
  const std::string mend =
      fmt::format("use 1 to {} letters, digits, '.', '_' and '-', a letter or digit first", kServiceNameMax);
  const auto text = read_text(place, mend);
  if (!text) return tl::unexpected(text.error());
  const bool is_good = !text->empty() && text->size() <= kServiceNameMax &&
                       std::string_view("._-").find(text->front()) == std::string_view::npos &&
                       std::all_of(text->begin(), text->end(), is_name_part);
  if (!is_good) return place.fail(fmt::format("{} is not a name of a service", quoted(*text)), mend);
  service.name = *text;
  return {};
}

constexpr Field<Service> kServiceFields[] = {
    {"name", read_service_name},
    {"vip", [](const Place& place, Service& service) { return store(read_address(place), service.vip); }},
    {"protocol",
     [](const Place& place, Service& service) {
       return store(read_choice(place, {Protocol::tcp, Protocol::udp, Protocol::sctp, Protocol::any}),
                    service.protocol);
     }},
    {"port",
     [](const Place& place, Service& service) {
       return store(read_number(place, 1, kPortMax, "write one port, or leave it out for all"), service.port);
     }},
    {"mode",
     [](const Place& place, Service& service) {
       return store(read_choice(place, {Mode::dnat, Mode::connection, Mode::inspect, Mode::rewrite}),
                    service.mode);
     }},
    {"policy", read_policy},
    {"shadow", read_shadow},
    {"masquerade",
     [](const Place& place, Service& service) { return store(read_truth(place), service.masquerade); }},
    {"on_no_backend",
     [](const Place& place, Service& service) {
       return store(read_choice(place, {OnNoBackend::reject, OnNoBackend::drop, OnNoBackend::pass}),
                    service.on_no_backend);
     }},
    {"on_backend_loss",
     [](const Place& place, Service& service) {
       return store(read_choice(place, {OnBackendLoss::keep, OnBackendLoss::reset}), service.on_backend_loss);
     }},
    {"slow_start",
     [](const Place& place, Service& service) {
       return store(read_seconds(place, 0s, 1h, "write for how long a backend that comes takes less"),
                    service.slow_start);
     }},
    {"affinity", read_affinity},
    {"health", read_health},
    {"backends", read_backends},
};

}  // namespace

std::vector<std::string_view> service_fields() {
  return names_of(kServiceFields);
}

std::vector<std::string_view> backend_fields() {
  return names_of(kBackendFields);
}

Result<void> read_backend_field(const Place& place, Backend& backend) {
  const auto field = std::ranges::find(kBackendFields, place.value().name, &Field<Backend>::name);
  assert(field != std::end(kBackendFields));
  return field->read(place, backend);
}

Result<void> read_backends(const Place& place, Service& service) {
  if (auto list = expect_list(place, kBackendsMax, "write a list of backends, [] for none"); !list)
    return list;
  for (std::size_t i = 0; i < place.value().children.size(); ++i) {
    auto backend = read_backend(place.item(i));
    if (!backend) return tl::unexpected(backend.error());
    service.backends.push_back(*backend);
  }
  return {};
}

Result<void> read_service(const Place& place, Service& service) {
  service.name = kServiceNameDefault;
  if (auto read = read_fields(place, kServiceFields, service, "write a map with vip and backends"); !read)
    return read;
  if (auto has = require(place, "vip", "add vip: ADDRESS"); !has) return has;
  if (auto has = require(place, "backends", "add a list of backends, [] for none"); !has) return has;
  if (service.port != 0 && place.value().find("protocol") == nullptr) service.protocol = Protocol::tcp;
  return check_service(place, service);
}

}  // namespace nfsteer::config
