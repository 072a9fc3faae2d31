#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "config/byte_text.hpp"
#include "config/durations.hpp"
#include "config/health_defaults.hpp"
#include "config/validate_parts.hpp"

namespace nfsteer::config {
namespace {

using core::CheckType;
using core::HealthCheck;
using core::Result;
using namespace std::chrono_literals;

constexpr std::size_t kPathMax = 1024;
constexpr std::size_t kHostMax = 255;
constexpr std::size_t kDatagramMax = 1400;  // bytes; fits a packet on any link
constexpr std::size_t kWordsMax = 32;
constexpr std::size_t kWordMax = 1024;  // characters

constexpr std::array kTypes{CheckType::tcp,  CheckType::http, CheckType::udp,
                            CheckType::icmp, CheckType::exec, CheckType::passive};

std::vector<std::string_view> type_names() {
  std::vector<std::string_view> names;
  for (const CheckType each : kTypes)
    names.push_back(to_string(each));
  return names;
}

bool is_visible_ascii(std::string_view text) {
  return is_printable_ascii(text) && text.find(' ') == text.npos;
}

// Of the request's line and header, which must stay one line each.
Result<void> read_path(const Place& place, HealthCheck& check) {
  const std::string mend = fmt::format(
      "write it as in /healthz: a '/' first, printable ASCII without spaces, at most {} characters",
      kPathMax);
  const auto path = read_text(place, mend);
  if (!path) return tl::unexpected(path.error());
  if (!path->starts_with('/') || path->size() > kPathMax || !is_visible_ascii(*path))
    return place.fail(quoted(*path) + " is not a path", mend);
  check.path = *path;
  return {};
}

Result<void> read_host(const Place& place, HealthCheck& check) {
  const std::string mend = fmt::format(
      "write 1 to {} printable ASCII characters without spaces, or leave it out for the backend's address",
      kHostMax);
  const auto host = read_text(place, mend);
  if (!host) return tl::unexpected(host.error());
  if (host->empty() || host->size() > kHostMax || !is_visible_ascii(*host))
    return place.fail(quoted(*host) + " cannot be a Host header", mend);
  check.host = *host;
  return {};
}

std::optional<std::uint16_t> status_of(std::string_view text) {
  std::uint16_t status = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
  const bool is_good =
      error == std::errc{} && end == text.data() + text.size() && status >= 100 && status <= 599;
  return text.size() == 3 && is_good ? std::optional(status) : std::nullopt;
}

Result<void> read_status(const Place& place, HealthCheck& check) {
  constexpr std::string_view kMend = "write one status or a range from 100 to 599, as in 200 or 200-299";
  const auto text = read_text(place, kMend);
  if (!text) return tl::unexpected(text.error());
  const auto dash = text->find('-');
  const auto first = status_of(text->substr(0, dash));
  const auto last = dash == text->npos ? first : status_of(text->substr(dash + 1));
  if (!first || !last || *first > *last)
    return place.fail(shown(*text) + " is not a range of statuses", std::string(kMend));
  check.status_first = *first;
  check.status_last = *last;
  return {};
}

Result<std::string> read_bytes(const Place& place) {
  constexpr std::string_view kMend =
      "write printable ASCII, and every other byte as \\n, \\r, \\t, \\\\ or \\xNN; in YAML without double "
      "quotes";
  const auto text = read_text(place, kMend);
  if (!text) return tl::unexpected(text.error());
  auto bytes = bytes_of_text(*text);
  if (!bytes) return place.fail(quoted(*text) + " is not a datagram's text", std::string(kMend));
  if (bytes->size() > kDatagramMax)
    return place.fail(fmt::format("{} bytes are too many", bytes->size()),
                      fmt::format("write at most {}", kDatagramMax));
  return *std::move(bytes);
}

Result<void> read_command(const Place& place, HealthCheck& check) {
  constexpr std::string_view kMend = "write [/PATH, ARGUMENT...]";
  if (auto list = expect_list(place, kWordsMax, kMend); !list) return list;
  check.command.clear();
  for (std::size_t i = 0; i < place.value().children.size(); ++i) {
    const Place item = place.item(i);
    const auto word = read_text(item, "write one word of the command");
    if (!word) return tl::unexpected(word.error());
    if (word->size() > kWordMax || !is_printable_ascii(*word))
      return item.fail(quoted(*word) + " cannot be a word of a command",
                       fmt::format("use at most {} printable ASCII characters", kWordMax));
    check.command.emplace_back(*word);
  }
  if (check.command.empty() || !check.command.front().starts_with('/'))
    return place.fail("no absolute path comes first", std::string(kMend));
  return {};
}

constexpr Field<HealthCheck> kHealthFields[] = {
    {"type",
     [](const Place& place, HealthCheck& check) {
       return store(read_name_of(place, type_names()).map([](std::size_t index) { return kTypes[index]; }),
                    check.type);
     }},
    {"port",
     [](const Place& place, HealthCheck& check) {
       return store(read_number(place, 1, kPortMax,
                                "write one port, or leave it out for the one that connections arrive at"),
                    check.port);
     }},
    {"path", read_path},
    {"host", read_host},
    {"status", read_status},
    {"send", [](const Place& place, HealthCheck& check) { return store(read_bytes(place), check.send); }},
    {"expect", [](const Place& place, HealthCheck& check) { return store(read_bytes(place), check.expect); }},
    {"command", read_command},
    {"interval",
     [](const Place& place, HealthCheck& check) {
       return store(read_duration(place, 100ms, 1h, "write how often to check"), check.interval);
     }},
    {"timeout",
     [](const Place& place, HealthCheck& check) {
       return store(read_duration(place, 10ms, 1min, "write how long a check may take"), check.timeout);
     }},
    {"rise",
     [](const Place& place, HealthCheck& check) {
       return store(read_number(place, 1, 100, "write how many good checks in a row bring a backend back"),
                    check.rise);
     }},
    {"fall",
     [](const Place& place, HealthCheck& check) {
       return store(read_number(place, 1, 100, "write how many bad checks in a row take a backend out"),
                    check.fall);
     }},
    {"jitter",
     [](const Place& place, HealthCheck& check) {
       return store(read_number(place, 0, 50, "write how many percent of the interval"), check.jitter);
     }},
    {"backoff_max",
     [](const Place& place, HealthCheck& check) {
       return store(read_duration(place, 100ms, 24h, "write up to what the interval grows while down"),
                    check.backoff_max);
     }},
    {"passive",
     [](const Place& place, HealthCheck& check) {
       return store(read_number(place, 0, 1000,
                                "write how many connections in a row without an answer take a backend out"),
                    check.passive);
     }},
    {"panic_threshold",
     [](const Place& place, HealthCheck& check) {
       return store(read_number(place, 0, 100, "write how many percent of the backends"),
                    check.panic_threshold);
     }},
};

// The types that have the field, of a field that not every type has.
std::vector<CheckType> owners_of(std::string_view field) {
  if (field == "port") return {CheckType::tcp, CheckType::http, CheckType::udp, CheckType::exec};
  if (field == "path" || field == "host" || field == "status") return {CheckType::http};
  if (field == "send" || field == "expect") return {CheckType::udp};
  if (field == "command") return {CheckType::exec};
  return {};
}

Result<void> check_belongings(const Place& place, CheckType type) {
  for (const RawValue& field : place.value().children) {
    const std::vector<CheckType> owners = owners_of(field.name);
    if (owners.empty() || std::ranges::find(owners, type) != owners.end()) continue;
    std::vector<std::string_view> names;
    for (const CheckType each : owners)
      names.push_back(to_string(each));
    return place.field(field).fail(fmt::format("{} belongs to type {}, and this check is of type {}",
                                               field.name, listed(names, "or"), to_string(type)),
                                   "leave it out, or change the type");
  }
  return {};
}

// What depends on more than one field: defaults, and what they must not say together.
Result<void> complete(const Place& place, HealthCheck& check) {
  const auto is_given = [&](std::string_view field) { return place.value().find(field) != nullptr; };
  if (auto good = check_belongings(place, check.type); !good) return good;
  if (check.type == CheckType::exec)
    if (auto has = require(place, "command", "add command: [/PATH, ARGUMENT...]"); !has) return has;
  const HealthCheck usual = usual_check(check.type, check.interval);
  if (!is_given("timeout")) check.timeout = usual.timeout;
  if (!is_given("backoff_max")) check.backoff_max = usual.backoff_max;
  if (!is_given("passive")) check.passive = usual.passive;
  if (check.timeout > check.interval)
    return place.field("timeout").fail(
        fmt::format("{} is longer than the interval, {}", duration_text(check.timeout),
                    duration_text(check.interval)),
        "let a check end before the next one starts");
  if (check.backoff_max < check.interval)
    return place.field("backoff_max")
        .fail(fmt::format("{} is shorter than the interval, {}", duration_text(check.backoff_max),
                          duration_text(check.interval)),
              "the interval only grows while a backend is down");
  if (check.type == CheckType::passive && check.passive == 0)
    return place.field("passive").fail("0 with type passive, which then checks nothing",
                                       "write how many connections, or health: none");
  return {};
}

}  // namespace

std::vector<std::string_view> health_fields() {
  return names_of(kHealthFields);
}

Result<void> read_health(const Place& place, core::Service& service) {
  HealthCheck check;
  if (place.value().kind == RawValue::Kind::text) {
    std::vector<std::string_view> names = type_names();
    names.emplace_back("none");
    const auto type = read_name_of(place, names);
    if (!type) return tl::unexpected(type.error());
    if (*type == kTypes.size()) {
      service.health.reset();
      return {};
    }
    check.type = kTypes[*type];
  } else if (auto read = read_fields(place, kHealthFields, check, "write a type, none, or a map"); !read) {
    return read;
  }
  if (auto good = complete(place, check); !good) return good;
  service.health = std::move(check);
  return {};
}

}  // namespace nfsteer::config
