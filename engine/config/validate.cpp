#include "config/validate.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "config/backend_text.hpp"
#include "config/conflicts.hpp"
#include "config/places.hpp"
#include "config/readers.hpp"
#include "core/queue_layout.hpp"

namespace nfsteer::config {
namespace {

using core::Backend;
using core::Mode;
using core::OnNoBackend;
using core::Protocol;
using core::Result;
using core::Service;
using Names = std::span<const std::string_view>;

constexpr std::uint64_t kPortMax = 65535;
constexpr std::uint64_t kQueueNumbers = 65536;  // NFQUEUE numbers have 16 bits

// A field of a map that becomes a T: its name, and how its value gets into the T.
template <typename T>
struct Field {
  std::string_view name;
  Result<void> (*read)(const Place& place, T& into, Names known_policies);
};

template <typename T, typename From>
Result<void> store(Result<From> from, T& into) {
  if (!from) return tl::unexpected(from.error());
  into = static_cast<T>(*std::move(from));
  return {};
}

// The fields of the map at `place`, in the order in which they are written there.
template <typename T, std::size_t N>
Result<void> read_fields(const Place& place, const Field<T> (&fields)[N], T& into, Names known_policies,
                         std::string_view mend) {
  if (auto map = expect_map(place, mend); !map) return map;
  const RawValue* given[N] = {};
  for (const RawValue& value : place.value().children) {
    const auto field = std::find_if(std::begin(fields), std::end(fields),
                                    [&](const Field<T>& each) { return each.name == value.name; });
    if (field == std::end(fields)) {
      std::vector<std::string_view> names;
      for (const Field<T>& each : fields)
        names.push_back(each.name);
      const std::string_view near = nearest(value.name, names);
      return place.fail_at(value, fmt::format("unknown field {}", quoted(value.name)),
                           near.empty() ? "the fields here are " + listed(names, "and")
                                        : fmt::format("did you mean \"{}\"?", near));
    }
    const RawValue*& first = given[field - std::begin(fields)];
    if (first != nullptr)
      return place.fail_at(value, fmt::format("\"{}\" is given twice", value.name), "keep one");
    first = &value;
    if (auto read = field->read(place.field(value), into, known_policies); !read) return read;
  }
  return {};
}

Result<void> require(const Place& place, std::string_view field, std::string_view mend) {
  if (place.value().find(field) != nullptr) return {};
  return place.fail(fmt::format("\"{}\" is missing", field), std::string(mend));
}

constexpr Field<Engine> kEngineFields[] = {
    {"queues",
     [](const Place& place, Engine& engine, Names) {
       return store(
           read_number(place, 1, core::kWorkersMax, "write how many, or leave it out for one per CPU"),
           engine.queues);
     }},
    {"queue_base",
     [](const Place& place, Engine& engine, Names) {
       return store(read_number(place, 0, kQueueNumbers - 1, "write the first queue number"),
                    engine.queue_base);
     }},
    {"queue_length",
     [](const Place& place, Engine& engine, Names) {
       return store(read_number(place, 1, kQueueLengthMax, "write how many packets a queue holds"),
                    engine.queue_length);
     }},
    {"seed",
     [](const Place& place, Engine& engine, Names) {
       return store(
           read_number(place, 0, UINT64_MAX, "write such a number, or leave it out for a random one"),
           engine.seed);
     }},
    {"control",
     [](const Place& place, Engine& engine, Names) -> Result<void> {
       const auto path = read_text(place, "write the path of the control socket");
       if (!path) return tl::unexpected(path.error());
       const bool is_printable =
           std::all_of(path->begin(), path->end(), [](char each) { return each >= ' ' && each <= '~'; });
       if (path->empty() || path->size() > kControlMax || !is_printable)
         return place.fail(fmt::format("{} cannot be the path of a socket", quoted(*path)),
                           fmt::format("use 1 to {} printable ASCII characters", kControlMax));
       engine.control = *path;
       return {};
     }},
    {"on_stop",
     [](const Place& place, Engine& engine, Names) {
       return store(read_choice(place, {OnStop::keep, OnStop::remove}), engine.on_stop);
     }},
};

constexpr Field<Backend> kBackendFields[] = {
    {"address",
     [](const Place& place, Backend& backend, Names) { return store(read_address(place), backend.address); }},
    {"port",
     [](const Place& place, Backend& backend, Names) {
       return store(read_number(place, 1, kPortMax,
                                "write one port, or leave it out for the one that the client asked for"),
                    backend.port);
     }},
    {"weight",
     [](const Place& place, Backend& backend, Names) {
       return store(
           read_number(place, 0, core::kWeightMax, "write the share of new connections as such a number"),
           backend.weight);
     }},
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
  if (auto read = read_fields(place, kBackendFields, backend, {}, kMend); !read)
    return tl::unexpected(read.error());
  if (auto has = require(place, "address", "add address: ADDRESS"); !has) return tl::unexpected(has.error());
  return backend;
}

Result<void> read_backends(const Place& place, Service& service, Names) {
  if (auto list = expect_list(place, kBackendsMax, "write a list of backends, [] for none"); !list)
    return list;
  for (std::size_t i = 0; i < place.value().children.size(); ++i) {
    auto backend = read_backend(place.item(i));
    if (!backend) return tl::unexpected(backend.error());
    service.backends.push_back(*backend);
  }
  return {};
}

Result<void> read_service_name(const Place& place, Service& service, Names) {
  const std::string mend =
      fmt::format("use 1 to {} letters, digits, '.', '_' and '-', a letter or digit first", kServiceNameMax);
  const auto text = read_text(place, mend);
  if (!text) return tl::unexpected(text.error());
  constexpr std::string_view kFirst = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  constexpr std::string_view kOther = "._-";
  const bool is_good = !text->empty() && text->size() <= kServiceNameMax &&
                       kFirst.find(text->front()) != kFirst.npos &&
                       std::all_of(text->begin(), text->end(), [&](char each) {
                         return kFirst.find(each) != kFirst.npos || kOther.find(each) != kOther.npos;
                       });
  if (!is_good) return place.fail(fmt::format("{} is not a name of a service", quoted(*text)), mend);
  service.name = *text;
  return {};
}

constexpr Field<Service> kServiceFields[] = {
    {"name", read_service_name},
    {"vip",
     [](const Place& place, Service& service, Names) { return store(read_address(place), service.vip); }},
    {"protocol",
     [](const Place& place, Service& service, Names) {
       return store(read_choice(place, {Protocol::tcp, Protocol::udp, Protocol::sctp, Protocol::any}),
                    service.protocol);
     }},
    {"port",
     [](const Place& place, Service& service, Names) {
       return store(read_number(place, 1, kPortMax, "write one port, or leave it out for all"), service.port);
     }},
    {"mode",
     [](const Place& place, Service& service, Names) {
       return store(read_choice(place, {Mode::dnat, Mode::connection, Mode::inspect, Mode::rewrite}),
                    service.mode);
     }},
    {"policy",
     [](const Place& place, Service& service, Names known_policies) {
       return store(
           read_name_of(place, {known_policies.begin(), known_policies.end()}).map([&](std::size_t index) {
             return known_policies[index];
           }),
           service.policy);
     }},
    {"masquerade", [](const Place& place, Service& service,
                      Names) { return store(read_truth(place), service.masquerade); }},
    {"on_no_backend",
     [](const Place& place, Service& service, Names) {
       return store(read_choice(place, {OnNoBackend::reject, OnNoBackend::drop, OnNoBackend::pass}),
                    service.on_no_backend);
     }},
    {"backends", read_backends},
};

Result<void> read_service(const Place& place, Service& service, Names known_policies) {
  service.name = kServiceNameDefault;
  if (auto read =
          read_fields(place, kServiceFields, service, known_policies, "write a map with vip and backends");
      !read)
    return read;
  if (auto has = require(place, "vip", "add vip: ADDRESS"); !has) return has;
  if (auto has = require(place, "backends", "add a list of backends, [] for none"); !has) return has;
  if (service.port != 0 && place.value().find("protocol") == nullptr) service.protocol = Protocol::tcp;
  return check_service(place, service);
}

Result<void> read_services(const Place& place, Config& config, Names known_policies) {
  if (auto list = expect_list(place, kServicesMax, "write a list of services, [] for none"); !list)
    return list;
  for (std::size_t i = 0; i < place.value().children.size(); ++i)
    if (auto read = read_service(place.item(i), config.services.emplace_back(), known_policies); !read)
      return read;
  return check_services(place, config.services);
}

Result<void> read_engine(const Place& place, Engine& engine) {
  if (auto read = read_fields(place, kEngineFields, engine, {}, "write a map of settings"); !read)
    return read;
  const std::size_t needed = core::kQueueGroups.size() * engine.workers();
  if (engine.queue_base + needed <= kQueueNumbers) return {};
  const Place field = place.field(place.value().find("queue_base") != nullptr ? "queue_base" : "queues");
  return field.fail(fmt::format("{} workers need {} queues from {} on, beyond the last number {}",
                                engine.workers(), needed, engine.queue_base, kQueueNumbers - 1),
                    fmt::format("use a queue base of at most {}", kQueueNumbers - needed));
}

constexpr Field<Config> kDocumentFields[] = {
    {"engine",
     [](const Place& place, Config& config, Names) -> Result<void> {
       // All its fields are optional, so all of them may be commented out.
       if (place.value().kind == RawValue::Kind::nothing) return {};
       return read_engine(place, config.engine);
     }},
    {"services", read_services},
};

}  // namespace

Result<Config> validate(const RawValue& document, std::string_view file, Names known_policies) {
  const Place place(document, file);
  Config config;
  if (auto read =
          read_fields(place, kDocumentFields, config, known_policies, "write a map with a list of services");
      !read)
    return tl::unexpected(read.error());
  if (auto has = require(place, "services", "add a list of services, [] for none"); !has)
    return tl::unexpected(has.error());
  return config;
}

Result<Engine> validate_engine(const RawValue& map, std::string_view file, Engine base) {
  if (auto read = read_engine(Place(map, file), base); !read) return tl::unexpected(read.error());
  return base;
}

}  // namespace nfsteer::config
