// The C interface for policies, from both sides: any table a library may hand out, any reason it may give,
// any answer to a decision; and anything a policy may ask of the host's built-ins. Whatever comes, what the
// engine acts on is a backend that takes connections, and what people read is one line.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/random.hpp"
#include "plugin/abi.hpp"
#include "policy/guarded.hpp"

namespace {

using namespace nfsteer;

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_one_line(const std::string& text) {
  return !text.empty() && std::ranges::none_of(text, [](char each) {
    return static_cast<unsigned char>(each) < ' ' || each == '\x7f';
  });
}

void* create_nothing(const nfsteer_input* /*input*/, char* /*error*/, std::size_t /*size*/) {
  return nullptr;
}
std::uint32_t pick_nothing(void* /*self*/, const nfsteer_flow* /*flow*/, nfsteer_context* /*context*/) {
  return NFSTEER_NO_BACKEND;
}
void destroy_nothing(void* /*self*/) {}
void tick_nothing(void* /*self*/, std::uint64_t /*now_ns*/) {}

// A library's table lies in memory of its own, as long as it says it is, so a read beyond its end is seen.
void check_some_table(FuzzedDataProvider& data) {
  nfsteer_policy table{};
  table.abi = data.ConsumeBool() ? NFSTEER_POLICY_ABI : data.ConsumeIntegral<std::uint32_t>();
  table.struct_size = data.ConsumeIntegralInRange<std::uint32_t>(offsetof(nfsteer_policy, name), 256);
  table.name = "fuzz";
  table.flags = data.ConsumeIntegral<std::uint32_t>();
  table.create = data.ConsumeBool() ? create_nothing : nullptr;
  table.pick = data.ConsumeBool() ? pick_nothing : nullptr;
  table.destroy = data.ConsumeBool() ? destroy_nothing : nullptr;
  table.tick = data.ConsumeBool() ? tick_nothing : nullptr;

  const auto memory = std::make_unique<std::byte[]>(table.struct_size);
  std::memcpy(memory.get(), &table, std::min<std::size_t>(table.struct_size, sizeof table));
  const auto known = plugin::check_table("fuzz.so", reinterpret_cast<const nfsteer_policy*>(memory.get()));
  const bool is_good = table.abi == NFSTEER_POLICY_ABI && table.struct_size >= sizeof table &&
                       table.create != nullptr && table.pick != nullptr && table.destroy != nullptr;
  require(known.has_value() == is_good);
  if (!known) {
    require(known.error().exit_code() == 2);
    require(is_one_line(known.error().line()));
    return;
  }
  require(known->pick == table.pick && known->tick == table.tick && known->flags == table.flags);
}

void read_some_reason(FuzzedDataProvider& data) {
  char buffer[plugin::kErrorTextMax];
  std::memset(buffer, data.ConsumeIntegral<std::uint8_t>(), sizeof buffer);  // perhaps without an end
  const std::vector<char> text =
      data.ConsumeBytes<char>(data.ConsumeIntegralInRange<std::size_t>(0, sizeof buffer));
  std::copy(text.begin(), text.end(), buffer);
  require(is_one_line(plugin::error_text(buffer)));
}

std::vector<core::Backend> some_backends(FuzzedDataProvider& data) {
  std::vector<core::Backend> backends(data.ConsumeIntegralInRange<std::size_t>(0, 8));
  const auto family = data.ConsumeBool() ? core::Family::ipv4 : core::Family::ipv6;
  for (core::Backend& each : backends) {
    std::array<std::uint8_t, 16> address{};
    data.ConsumeData(address.data(), address.size());
    each.address =
        core::IpAddress::from_bytes(family, {address.data(), family == core::Family::ipv4 ? 4U : 16U});
    each.port = data.ConsumeIntegral<std::uint16_t>();
    // Small ones: the largest make rings of a million points, and the fuzzer wait for them.
    each.weight = data.ConsumeBool() ? data.ConsumeIntegralInRange<std::uint32_t>(0, 20) : 1;
    each.data = data.ConsumeRandomLengthString(16).c_str();
  }
  return backends;
}

core::FlowKey some_flow(FuzzedDataProvider& data) {
  core::FlowKey flow{};
  data.ConsumeData(&flow, offsetof(core::FlowKey, family));
  flow.family = data.ConsumeBool() ? core::Family::ipv4 : core::Family::ipv6;
  return flow;
}

bool takes(const std::vector<core::Backend>& backends, std::uint32_t index) {
  return index < backends.size() && backends[index].weight > 0;
}

// Answers whatever the input says.
class Anything final : public policy::Policy {
 public:
  explicit Anything(FuzzedDataProvider& data) : data_(data) {}
  std::optional<std::uint32_t> pick(const core::FlowKey& /*flow*/,
                                    core::PickContext& /*context*/) const noexcept override {
    if (data_.ConsumeBool()) return data_.ConsumeIntegralInRange<std::uint32_t>(0, 9);
    if (data_.ConsumeBool()) return data_.ConsumeIntegral<std::uint32_t>();
    return data_.ConsumeBool() ? std::nullopt : std::optional(policy::kFailedPick);
  }

 private:
  FuzzedDataProvider& data_;
};

void judge_some_answers(FuzzedDataProvider& data, const policy::BuildInput& input,
                        const std::vector<core::Backend>& backends) {
  const auto record = std::make_shared<policy::GuardRecord>(input.workers, policy::GuardLimits{});
  const policy::Guarded guarded(std::make_shared<Anything>(data), input, record);
  core::Random random(1, 2);
  const core::FlowKey flow = some_flow(data);
  std::uint64_t asked = 0;
  while (data.remaining_bytes() > 0 && asked < 100) {
    core::PickContext context{random, ++asked,
                              data.ConsumeIntegralInRange<std::uint32_t>(0, input.workers - 1)};
    if (const auto picked = guarded.pick(flow, context)) require(takes(backends, *picked));
    if (data.ConsumeIntegralInRange(0, 7) == 0) record->judge();
  }
  const policy::GuardReport report = guarded.report();
  require(report.picks <= asked && report.faults() <= report.picks);
  require(report.set_aside == !report.reason.empty());
}

void ask_some_builtin(FuzzedDataProvider& data, const policy::BuildInput& input,
                      const std::vector<core::Backend>& backends) {
  const plugin::AbiInput given(input, {});
  const nfsteer_host& host = plugin::host();
  const std::string spec = data.ConsumeRandomLengthString(64);
  std::vector<char> error(data.ConsumeIntegralInRange<std::size_t>(0, 200), 'x');
  void* builtin =
      host.builtin_create(spec.c_str(), &given.view(), error.empty() ? nullptr : error.data(), error.size());
  if (builtin == nullptr) {
    require(error.empty() || std::memchr(error.data(), '\0', error.size()) != nullptr);
    return;
  }
  core::Random random(3, 4);
  const core::FlowKey flow = some_flow(data);
  for (int asked = 0; asked < 20; ++asked) {
    core::PickContext context{random, data.ConsumeIntegral<std::uint64_t>(),
                              data.ConsumeIntegralInRange<std::uint32_t>(0, input.workers - 1)};
    nfsteer_context same = plugin::abi_of(context);
    const std::uint32_t picked = host.builtin_pick(builtin, plugin::abi_of(flow), &same);
    require(picked == NFSTEER_NO_BACKEND || takes(backends, picked));
    if (asked % 8 == 0) host.builtin_tick(builtin, context.now_ns);
  }
  require(host.flow_hash(plugin::abi_of(flow), 7) == flow.hash(7));
  host.builtin_destroy(builtin);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  const auto what = data.ConsumeIntegralInRange(0, 3);
  if (what == 0) return check_some_table(data), 0;
  if (what == 1) return read_some_reason(data), 0;
  const std::vector<core::Backend> backends = some_backends(data);
  std::vector<core::LiveBackend> live(backends.size());
  std::vector<core::LiveBackend*> view;
  for (core::LiveBackend& each : live) {
    each.set_active(data.ConsumeIntegral<std::uint32_t>());
    view.push_back(&each);
  }
  policy::BuildInput input{backends, view, data.ConsumeIntegralInRange<std::uint32_t>(1, 4)};
  if (data.ConsumeBool()) input.live = {};
  if (what == 2)
    judge_some_answers(data, input, backends);
  else
    ask_some_builtin(data, input, backends);
  return 0;
}
