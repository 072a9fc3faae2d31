#include "config/readers.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace nfsteer::config {
namespace {

using core::IpAddress;
using Kind = RawValue::Kind;

core::Failure wrong_kind(const Place& place, std::string_view expected, std::string_view mend) {
  const RawValue& value = place.value();
  std::string reason;
  switch (value.kind) {
    case Kind::nothing:
      reason = "no value given";
      break;
    case Kind::text:
      reason = fmt::format("{} where {} is expected", shown(value.text), expected);
      break;
    case Kind::map:
      reason = fmt::format("a map where {} is expected", expected);
      break;
    case Kind::list:
      reason = fmt::format("a list where {} is expected", expected);
      break;
  }
  return place.fail(std::move(reason), std::string(mend));
}

struct Diagnosis {
  std::string_view reason;
  std::string_view mend;
};

bool is_host_name(std::string_view text) {
  const auto is_letter = [](char each) {
    return (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z');
  };
  const auto is_rest = [](char each) {
    return (each >= '0' && each <= '9') || each == '-' || each == '.' || each == '_';
  };
  return std::any_of(text.begin(), text.end(), is_letter) &&
         std::all_of(text.begin(), text.end(), [&](char each) { return is_letter(each) || is_rest(each); });
}

// What text that is no address is instead.
Diagnosis diagnose(std::string_view text) {
  const auto is_address_before = [&](char separator) {
    const auto at = text.find(separator);
    return at != std::string_view::npos && IpAddress::parse(text.substr(0, at));
  };
  if (is_address_before('/')) return {"is a prefix, not an address", "write the address of one host"};
  if (is_address_before('%'))
    return {"has a zone, which no packet carries", "write an address that needs none"};
  if (text.starts_with('[') || is_address_before(':'))
    return {"is not a bare address", "write it without brackets, and the port as a value of its own"};
  if (is_host_name(text)) return {"is a host name, and names are not looked up", "write its address"};
  return {"is not an IP address", "write IPv4 as in 10.0.0.40, IPv6 as in fd00::40"};
}

// What an address that names no host is instead.
std::string_view describe(const IpAddress& address) {
  const std::uint8_t first = address.bytes()[0];
  if (address.is_v4() ? first >= 224 && first < 240 : first == 0xff) return "is a multicast address";
  return address.is_v4() && first == 255 ? "is the broadcast address" : "names no host";
}

// ::ffff:0:0/96 of RFC 4291 section 2.5.5.2: a notation for sockets, never seen in a packet.
bool is_v4_mapped(const IpAddress& address) {
  constexpr std::array<std::uint8_t, 12> kPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return !address.is_v4() && std::ranges::equal(address.bytes().first(kPrefix.size()), kPrefix);
}

}  // namespace

core::Result<std::string_view> read_text(const Place& place, std::string_view mend) {
  if (place.value().kind != Kind::text) return wrong_kind(place, "a single value", mend);
  return place.value().text;
}

core::Result<std::uint64_t> read_number(const Place& place, std::uint64_t min, std::uint64_t max,
                                        std::string_view mend) {
  const auto text = read_text(place, mend);
  if (!text) return tl::unexpected(text.error());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  const bool is_whole = error == std::errc{} && end == text->data() + text->size();
  // A leading zero means octal to some readers of YAML and nothing to others.
  const bool is_plain = is_whole && (text->size() == 1 || text->front() != '0');
  if (!is_plain || number < min || number > max)
    return place.fail(fmt::format("{} is not a whole number from {} to {}", shown(*text), min, max),
                      std::string(mend));
  return number;
}

core::Result<IpAddress> read_address(const Place& place) {
  const auto text = read_text(place, "write one address, such as 10.0.0.40 or fd00::40");
  if (!text) return tl::unexpected(text.error());
  const auto address = IpAddress::parse(*text);
  if (!address) {
    const auto [reason, mend] = diagnose(*text);
    return place.fail(fmt::format("{} {}", shown(*text), reason), std::string(mend));
  }
  if (!address->is_host())
    return place.fail(fmt::format("{} {}", shown(*text), describe(*address)),
                      "write the address of one host");
  if (is_v4_mapped(*address))
    return place.fail(fmt::format("{} is an IPv4 address in IPv6 notation", shown(*text)),
                      fmt::format("write {}", address->to_string().substr(sizeof("::ffff:") - 1)));
  return *address;
}

core::Result<std::size_t> read_name_of(const Place& place, const std::vector<std::string_view>& names) {
  const std::string mend = "use " + listed(names, "or");
  const auto text = read_text(place, mend);
  if (!text) return tl::unexpected(text.error());
  const auto found = std::find(names.begin(), names.end(), *text);
  if (found == names.end()) return place.fail(quoted(*text) + " is unknown", mend);
  return static_cast<std::size_t>(found - names.begin());
}

core::Result<bool> read_truth(const Place& place) {
  return read_name_of(place, {"true", "false"}).map([](std::size_t index) { return index == 0; });
}

bool is_name_part(char each) {
  return (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') || (each >= '0' && each <= '9') ||
         each == '.' || each == '_' || each == '-';
}

core::Result<void> expect_map(const Place& place, std::string_view mend) {
  if (place.value().kind != Kind::map) return wrong_kind(place, "a map", mend);
  return {};
}

core::Result<void> expect_list(const Place& place, std::size_t length_max, std::string_view mend) {
  if (place.value().kind != Kind::list) return wrong_kind(place, "a list", mend);
  const std::size_t length = place.value().children.size();
  if (length > length_max)
    return place.fail(fmt::format("{} items are too many", length),
                      fmt::format("at most {} are possible", length_max));
  return {};
}

}  // namespace nfsteer::config
