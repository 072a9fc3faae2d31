#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "config/byte_text.hpp"
#include "config/validate_parts.hpp"
#include "core/queue_layout.hpp"

namespace nfsteer::config {
namespace {

using core::Result;

constexpr std::uint64_t kQueueNumbers =
    core::kClaimedQueue;  // NFQUEUE numbers have 16 bits; the last one is taken

Result<void> read_control(const Place& place, Engine& engine) {
  const auto path = read_text(place, "write the path of the control socket");
  if (!path) return tl::unexpected(path.error());
  if (path->empty() || path->size() > kControlMax || !is_printable_ascii(*path))
    return place.fail(fmt::format("{} cannot be the path of a socket", quoted(*path)),
                      fmt::format("use 1 to {} printable ASCII characters", kControlMax));
  engine.control = *path;
  return {};
}

// The name of a `kind` of account, which is not looked up; `otherwise` says what it means to give none.
Result<void> read_account(const Place& place, std::string_view kind, std::string_view otherwise,
                          std::string& into) {
  const std::string mend = fmt::format("use 1 to {} letters, digits, '.', '_' and '-', or leave it out {}",
                                       kAccountNameMax, otherwise);
  const auto name = read_text(place, mend);
  if (!name) return tl::unexpected(name.error());
  if (name->empty() || name->size() > kAccountNameMax ||
      !std::all_of(name->begin(), name->end(), is_name_part))
    return place.fail(fmt::format("{} is not a name of a {}", quoted(*name), kind), mend);
  into = *name;
  return {};
}

// ADDRESS:PORT, [ADDRESS]:PORT, or PORT.
std::optional<Endpoint> endpoint_of(std::string_view text) {
  const auto colon = text.rfind(':');
  std::string_view address = colon == text.npos ? "127.0.0.1" : text.substr(0, colon);
  const std::string_view digits = colon == text.npos ? text : text.substr(colon + 1);
  const bool has_brackets = address.size() > 2 && address.front() == '[' && address.back() == ']';
  if (has_brackets) address = address.substr(1, address.size() - 2);
  Endpoint endpoint;
  const auto parsed = core::IpAddress::parse(address);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  const bool is_port = error == std::errc{} && end == digits.data() + digits.size() && endpoint.port != 0 &&
                       digits.front() != '0';
  if (!parsed || !is_port || has_brackets == parsed->is_v4()) return std::nullopt;
  endpoint.address = *parsed;
  return endpoint;
}

Result<void> read_listen(const Place& place, Engine& engine) {
  constexpr std::string_view kMend =
      "write ADDRESS:PORT, [ADDRESS]:PORT for IPv6, or a port alone for 127.0.0.1";
  const auto text = read_text(place, kMend);
  if (!text) return tl::unexpected(text.error());
  engine.listen = endpoint_of(*text);
  if (!engine.listen)
    return place.fail(fmt::format("{} is not an address and a port", shown(*text)), std::string(kMend));
  return {};
}

constexpr Field<Engine> kEngineFields[] = {
    {"queues",
     [](const Place& place, Engine& engine) {
       return store(
           read_number(place, 1, core::kWorkersMax, "write how many, or leave it out for one per CPU"),
           engine.queues);
     }},
    {"queue_base",
     [](const Place& place, Engine& engine) {
       return store(read_number(place, 0, kQueueNumbers - 1, "write the first queue number"),
                    engine.queue_base);
     }},
    {"queue_length",
     [](const Place& place, Engine& engine) {
       return store(read_number(place, 1, kQueueLengthMax, "write how many packets a queue holds"),
                    engine.queue_length);
     }},
    {"seed",
     [](const Place& place, Engine& engine) {
       return store(
           read_number(place, 0, UINT64_MAX, "write such a number, or leave it out for a random one"),
           engine.seed);
     }},
    {"control", read_control},
    {"control_group",
     [](const Place& place, Engine& engine) {
       return read_account(place, "group", "for root's", engine.control_group);
     }},
    {"listen", read_listen},
    {"watch", [](const Place& place, Engine& engine) { return store(read_truth(place), engine.watch); }},
    {"track_connections",
     [](const Place& place, Engine& engine) { return store(read_truth(place), engine.track_connections); }},
    {"on_stop",
     [](const Place& place, Engine& engine) {
       return store(read_choice(place, {OnStop::keep, OnStop::remove}), engine.on_stop);
     }},
    {"user",
     [](const Place& place, Engine& engine) {
       return read_account(place, "user", "to stay who starts the engine", engine.user);
     }},
    {"seccomp",
     [](const Place& place, Engine& engine) {
       using core::Seccomp;
       return store(read_choice(place, {Seccomp::enforce, Seccomp::log, Seccomp::off}), engine.seccomp);
     }},
    {"log_level",
     [](const Place& place, Engine& engine) {
       return store(read_choice(place, {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}),
                    engine.log_level);
     }},
    {"log_format",
     [](const Place& place, Engine& engine) {
       return store(read_choice(place, {LogFormat::text, LogFormat::json}), engine.log_format);
     }},
};

}  // namespace

std::vector<std::string_view> engine_fields() {
  return names_of(kEngineFields);
}

Result<void> read_engine(const Place& place, Engine& engine) {
  if (auto read = read_fields(place, kEngineFields, engine, "write a map of settings"); !read) return read;
  const std::size_t needed = core::kQueueGroups.size() * engine.workers();
  if (engine.queue_base + needed <= kQueueNumbers) return {};
  const Place field = place.field(place.value().find("queue_base") != nullptr ? "queue_base" : "queues");
  return field.fail(fmt::format("{} workers need {} queues from {} on, beyond the last number {}",
                                engine.workers(), needed, engine.queue_base, kQueueNumbers - 1),
                    fmt::format("use a queue base of at most {}", kQueueNumbers - needed));
}

}  // namespace nfsteer::config
