#include "plugin/abi.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <type_traits>

#include <fmt/format.h>

#include "core/availability.hpp"
#include "policy/catalogue.hpp"

namespace nfsteer::core {

// Of the private parts of LiveBackend.
struct LiveBackendLayout {
  static constexpr bool is_that_of_the_c_interface =
      std::is_standard_layout_v<LiveBackend> && sizeof(LiveBackend) == sizeof(nfsteer_live) &&
      offsetof(LiveBackend, active_) == offsetof(nfsteer_live, active) &&
      offsetof(LiveBackend, pending_) == offsetof(nfsteer_live, pending) &&
      offsetof(LiveBackend, latency_) == offsetof(nfsteer_live, latency) &&
      offsetof(LiveBackend, state_) == offsetof(nfsteer_live, state) &&
      std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free;
};

}  // namespace nfsteer::core

namespace nfsteer::plugin {
namespace {

using core::BackendState;
using core::Family;
using core::FlowKey;

static_assert(core::LiveBackendLayout::is_that_of_the_c_interface);
static_assert(std::is_standard_layout_v<FlowKey> && sizeof(FlowKey) == sizeof(nfsteer_flow) &&
              offsetof(FlowKey, source) == offsetof(nfsteer_flow, source) &&
              offsetof(FlowKey, destination) == offsetof(nfsteer_flow, destination) &&
              offsetof(FlowKey, source_port) == offsetof(nfsteer_flow, source_port) &&
              offsetof(FlowKey, destination_port) == offsetof(nfsteer_flow, destination_port) &&
              offsetof(FlowKey, protocol) == offsetof(nfsteer_flow, protocol) &&
              offsetof(FlowKey, family) == offsetof(nfsteer_flow, family));
static_assert(static_cast<int>(Family::ipv4) == NFSTEER_IPV4 &&
              static_cast<int>(Family::ipv6) == NFSTEER_IPV6);
// Nothing but the four words of its state; that both sides draw the same numbers is a unit test.
static_assert(std::is_standard_layout_v<core::Random> && sizeof(core::Random) == sizeof(nfsteer_random));
static_assert(static_cast<int>(BackendState::active) == NFSTEER_ACTIVE &&
              static_cast<int>(BackendState::filling) == NFSTEER_FILLING &&
              static_cast<int>(BackendState::draining) == NFSTEER_DRAINING &&
              static_cast<int>(BackendState::standby) == NFSTEER_STANDBY &&
              static_cast<int>(BackendState::starting) == NFSTEER_STARTING &&
              static_cast<int>(BackendState::down) == NFSTEER_DOWN &&
              static_cast<int>(BackendState::maintenance) == NFSTEER_MAINTENANCE &&
              core::kBackendStates == 7);

const FlowKey& flow_of(const nfsteer_flow* flow) {
  return *reinterpret_cast<const FlowKey*>(flow);
}

// A built-in policy that a policy has made.
struct Builtin {
  std::shared_ptr<const policy::Policy> policy;
};

void write_error(char* error, std::size_t size, const std::string& text) {
  if (error == nullptr || size == 0) return;
  const std::size_t length = std::min(text.size(), size - 1);
  std::memcpy(error, text.data(), length);
  error[length] = '\0';
}

void* builtin_create(const char* spec, const nfsteer_input* input, char* error, std::size_t size) noexcept {
  try {
    const auto parsed = core::parse_policy_spec(spec);
    if (!parsed) return write_error(error, size, fmt::format("{}: an option without a value", spec)), nullptr;
    if (core::is_policy_file(parsed->name))
      return write_error(error, size, fmt::format("{}: a file, not a built-in policy", spec)), nullptr;
    const auto checked = policy::check(*parsed);
    if (!checked) {
      const policy::SpecError& wrong = checked.error();
      const std::string thing = wrong.option.empty() ? "" : fmt::format("option {}: ", wrong.option);
      write_error(error, size, fmt::format("{}: {}{}; {}", spec, thing, wrong.reason, wrong.mend));
      return nullptr;
    }
    const BuiltInput built(*input);
    return new Builtin{policy::build(*checked, built.view())};
  } catch (const std::exception& thrown) {
    return write_error(error, size, fmt::format("{}: {}", spec, thrown.what())), nullptr;
  }
}

std::uint32_t builtin_pick(const void* builtin, const nfsteer_flow* flow, nfsteer_context* context) noexcept {
  core::PickContext same{*reinterpret_cast<core::Random*>(context->random), context->now_ns, context->worker};
  return static_cast<const Builtin*>(builtin)->policy->pick(flow_of(flow), same).value_or(NFSTEER_NO_BACKEND);
}

void builtin_destroy(void* builtin) noexcept {
  delete static_cast<Builtin*>(builtin);
}

void builtin_tick(void* builtin, std::uint64_t now_ns) noexcept {
  static_cast<const Builtin*>(builtin)->policy->tick(now_ns);
}

std::uint64_t flow_hash(const nfsteer_flow* flow, std::uint64_t seed) noexcept {
  return flow_of(flow).hash(seed);
}

double latency_us(const nfsteer_live* live, std::uint64_t now_ns) noexcept {
  return reinterpret_cast<const core::LiveBackend*>(live)->latency_us(now_ns);
}

constexpr nfsteer_host kHost{.abi = NFSTEER_POLICY_ABI,
                             .struct_size = sizeof(nfsteer_host),
                             .builtin_create = builtin_create,
                             .builtin_pick = builtin_pick,
                             .builtin_destroy = builtin_destroy,
                             .flow_hash = flow_hash,
                             .latency_us = latency_us,
                             .builtin_tick = builtin_tick};

}  // namespace

const nfsteer_host& host() {
  return kHost;
}

AbiInput::AbiInput(const policy::BuildInput& input, std::span<const core::PolicySpec::Option> options) {
  for (std::size_t index = 0; index < input.backends.size(); ++index) {
    const core::Backend& backend = input.backends[index];
    nfsteer_backend& each = backends_.emplace_back();
    std::ranges::copy(backend.address.bytes(), each.address);
    each.port = backend.port;
    each.family = static_cast<std::uint8_t>(backend.address.family());
    each.weight = backend.weight;
    each.data = backend.data.c_str();
    each.live = input.live.empty() ? nullptr : reinterpret_cast<const nfsteer_live*>(input.live[index]);
  }
  for (const core::PolicySpec::Option& each : options)
    options_.push_back({each.name.c_str(), each.value.c_str()});
  view_.struct_size = sizeof view_;
  view_.workers = input.workers;
  view_.backend_count = static_cast<std::uint32_t>(backends_.size());
  view_.option_count = static_cast<std::uint32_t>(options_.size());
  view_.backends = backends_.data();
  view_.options = options_.data();
  view_.host = &kHost;
}

BuiltInput::BuiltInput(const nfsteer_input& input) : workers(input.workers) {
  for (const nfsteer_backend& each : std::span(input.backends, input.backend_count)) {
    const auto family = static_cast<Family>(each.family);
    core::Backend& backend = backends.emplace_back();
    backend.address = core::IpAddress::from_bytes(family, {each.address, family == Family::ipv4 ? 4U : 16U});
    backend.port = each.port;
    backend.weight = each.weight;
    backend.data = each.data;
    if (each.live != nullptr)
      live.push_back(reinterpret_cast<core::LiveBackend*>(const_cast<nfsteer_live*>(each.live)));
  }
}

core::Result<nfsteer_policy> check_table(const std::string& path, const nfsteer_policy* table) {
  constexpr const char* kRebuild = "build it again with this version's nfsteer/policy.h";
  constexpr std::size_t kHead = offsetof(nfsteer_policy, name);
  // Every field up to here has been there from the first version on.
  constexpr std::size_t kSizeMin = offsetof(nfsteer_policy, tick) + sizeof(table->tick);
  if (table == nullptr)
    return core::usage_error(path, "nfsteer_policy_entry() returned NULL",
                             "return the address of a static table");
  nfsteer_policy known{};
  std::memcpy(&known, table, kHead);
  if (known.abi != NFSTEER_POLICY_ABI)
    return core::usage_error(path,
                             fmt::format("made for version {} of the policy interface, this nfsteer has {}",
                                         known.abi, NFSTEER_POLICY_ABI),
                             kRebuild);
  if (known.struct_size < kSizeMin)
    return core::usage_error(path,
                             fmt::format("its nfsteer_policy has {} bytes, version {} has at least {}",
                                         known.struct_size, known.abi, kSizeMin),
                             "set struct_size = sizeof(nfsteer_policy)");
  std::memcpy(&known, table, std::min<std::size_t>(known.struct_size, sizeof known));
  for (const auto& [is_there, name] :
       {std::pair{known.create != nullptr, "create"}, std::pair{known.pick != nullptr, "pick"},
        std::pair{known.destroy != nullptr, "destroy"}})
    if (!is_there)
      return core::usage_error(path, fmt::format("its nfsteer_policy has no {}(): the pointer is NULL", name),
                               "only tick() may be left out");
  return known;
}

std::string error_text(const char (&buffer)[kErrorTextMax]) {
  std::string text(buffer, strnlen(buffer, kErrorTextMax));
  for (char& each : text)
    if (static_cast<unsigned char>(each) < ' ' || each == '\x7f') each = ' ';
  const auto last = text.find_last_not_of(' ');
  text.resize(last == std::string::npos ? 0 : last + 1);
  return text.empty() ? "it gives no reason" : text;
}

}  // namespace nfsteer::plugin
