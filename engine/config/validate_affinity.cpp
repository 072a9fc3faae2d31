#include <chrono>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "config/durations.hpp"
#include "config/validate_parts.hpp"

namespace nfsteer::config {
namespace {

using core::Affinity;
using core::Result;
using namespace std::chrono_literals;

Result<void> read_timeout(const Place& place, Affinity& affinity) {
  return store(read_seconds(place, 1s, 24h, "write for how long a client keeps its backend"),
               affinity.timeout);
}

constexpr Field<Affinity> kAffinityFields[] = {
    {"timeout", read_timeout},
    {"ipv4_prefix",
     [](const Place& place, Affinity& affinity) {
       return store(read_number(place, 1, 32, "write how many bits of the client's address count"),
                    affinity.ipv4_prefix);
     }},
    {"ipv6_prefix",
     [](const Place& place, Affinity& affinity) {
       return store(read_number(place, 1, 128, "write how many bits of the client's address count"),
                    affinity.ipv6_prefix);
     }},
};

// "none", "client", or the timeout.
Result<void> read_short_form(const Place& place, core::Service& service) {
  const std::string& text = place.value().text;
  if (text == "none") {
    service.affinity.reset();
    return {};
  }
  service.affinity.emplace();
  if (text == "client") return {};
  if (!text.empty() && text.front() >= '0' && text.front() <= '9')
    return read_timeout(place, *service.affinity);
  return place.fail(quoted(text) + " is unknown", "use none, client, or for how long, as in 3h");
}

}  // namespace

std::vector<std::string_view> affinity_fields() {
  return names_of(kAffinityFields);
}

Result<void> read_affinity(const Place& place, core::Service& service) {
  if (place.value().kind == RawValue::Kind::text) return read_short_form(place, service);
  return read_fields(place, kAffinityFields, service.affinity.emplace(),
                     "write client, none, or a map with timeout, ipv4_prefix and ipv6_prefix");
}

}  // namespace nfsteer::config
