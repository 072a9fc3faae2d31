#include "core/service.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace nfsteer::core {
namespace {

template <typename Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Names<Protocol, 4> kProtocols{
    {{Protocol::any, "any"}, {Protocol::tcp, "tcp"}, {Protocol::udp, "udp"}, {Protocol::sctp, "sctp"}}};
constexpr Names<Mode, 4> kModes{{{Mode::dnat, "dnat"},
                                 {Mode::connection, "connection"},
                                 {Mode::inspect, "inspect"},
                                 {Mode::rewrite, "rewrite"}}};
constexpr Names<OnNoBackend, 3> kOnNoBackend{
    {{OnNoBackend::reject, "reject"}, {OnNoBackend::drop, "drop"}, {OnNoBackend::pass, "pass"}}};
constexpr Names<OnBackendLoss, 2> kOnBackendLoss{
    {{OnBackendLoss::keep, "keep"}, {OnBackendLoss::reset, "reset"}}};
constexpr Names<AdminState, 3> kAdminStates{
    {{AdminState::active, "active"}, {AdminState::drain, "drain"}, {AdminState::maintenance, "maintenance"}}};
constexpr Names<CheckType, 6> kCheckTypes{{{CheckType::tcp, "tcp"},
                                           {CheckType::http, "http"},
                                           {CheckType::udp, "udp"},
                                           {CheckType::icmp, "icmp"},
                                           {CheckType::exec, "exec"},
                                           {CheckType::passive, "passive"}}};
constexpr Names<Health, 3> kHealths{
    {{Health::unknown, "unknown"}, {Health::up, "up"}, {Health::down, "down"}}};

template <typename Enum, std::size_t N>
std::string_view name_of(const Names<Enum, N>& names, Enum value) {
  for (const auto& [each, name] : names)
    if (each == value) return name;
  return "?";
}

template <typename Enum, std::size_t N>
std::optional<Enum> value_of(const Names<Enum, N>& names, std::string_view text) {
  for (const auto& [value, name] : names)
    if (name == text) return value;
  return std::nullopt;
}

}  // namespace

bool Service::has_usable_backend() const {
  return std::any_of(backends.begin(), backends.end(), [](const Backend& each) { return each.weight > 0; });
}

int specificity(const Service& service) {
  if (service.port != 0) return 2;
  return service.protocol != Protocol::any ? 1 : 0;
}

std::string_view to_string(Protocol protocol) {
  return name_of(kProtocols, protocol);
}
std::string_view to_string(Mode mode) {
  return name_of(kModes, mode);
}
std::string_view to_string(OnNoBackend choice) {
  return name_of(kOnNoBackend, choice);
}
std::string_view to_string(OnBackendLoss choice) {
  return name_of(kOnBackendLoss, choice);
}
std::string_view to_string(AdminState state) {
  return name_of(kAdminStates, state);
}
std::string_view to_string(CheckType type) {
  return name_of(kCheckTypes, type);
}
std::string_view to_string(Health health) {
  return name_of(kHealths, health);
}
std::optional<Protocol> parse_protocol(std::string_view text) {
  return value_of(kProtocols, text);
}
std::optional<Mode> parse_mode(std::string_view text) {
  return value_of(kModes, text);
}
std::optional<OnNoBackend> parse_on_no_backend(std::string_view text) {
  return value_of(kOnNoBackend, text);
}
std::optional<AdminState> parse_admin_state(std::string_view text) {
  return value_of(kAdminStates, text);
}
std::optional<CheckType> parse_check_type(std::string_view text) {
  return value_of(kCheckTypes, text);
}

}  // namespace nfsteer::core
