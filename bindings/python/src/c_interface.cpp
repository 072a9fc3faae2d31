// The C interface for policies (bindings/c/nfsteer/policy.h), for a policy of a Python file: its options
// `file` and `class` name it, the others are the class's arguments.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "interpreter_lock.hpp"
#include "python_policy.hpp"

namespace nfsteer::python {
namespace {

namespace py = pybind11;

static_assert(sizeof(nfsteer_flow) == sizeof(core::FlowKey) &&
              alignof(nfsteer_flow) == alignof(core::FlowKey));
static_assert(offsetof(nfsteer_flow, source_port) == offsetof(core::FlowKey, source_port));
static_assert(sizeof(nfsteer_live) == sizeof(core::LiveBackend));
static_assert(sizeof(nfsteer_random) == sizeof(core::Random));

Backend backend_of(const nfsteer_backend& given) {
  const auto family = given.family == NFSTEER_IPV6 ? core::Family::ipv6 : core::Family::ipv4;
  const std::size_t bytes = family == core::Family::ipv6 ? 16 : 4;
  Backend backend;
  backend.address =
      core::IpAddress::from_bytes(family, {static_cast<const std::uint8_t*>(given.address), bytes});
  backend.port = given.port;
  backend.weight = given.weight;
  backend.data = given.data;
  backend.live =
      reinterpret_cast<const core::LiveBackend*>(given.live);  // the same bytes: core/live_backend.hpp
  return backend;
}

std::unique_ptr<PythonPolicy> create_from(const nfsteer_input& input) {
  std::string file;
  std::string class_name;
  std::vector<Option> options;
  for (const nfsteer_option& each : std::span(input.options, input.option_count)) {
    const std::string_view name = each.name;
    if (name == "file")
      file = each.value;
    else if (name == "class")
      class_name = each.value;
    else
      options.push_back({each.name, each.value});
  }
  if (file.empty() || class_name.empty())
    throw PolicyError("the options file and class say which policy; give both, or PATH.py:CLASS");
  std::vector<Backend> backends;
  for (const nfsteer_backend& each : std::span(input.backends, input.backend_count))
    backends.push_back(backend_of(each));
  return std::make_unique<PythonPolicy>(load_policy(file, class_name, options),
                                        fmt::format("{}:{}", file, class_name), std::move(backends),
                                        input.workers);
}

void* create(const nfsteer_input* input, char* error, std::size_t error_size) {
  const WorkerLock lock;
  std::string reason;
  try {
    return create_from(*input).release();
  } catch (const std::exception& wrong) {
    reason = wrong.what();
  }
  if (error_size == 0) return nullptr;
  const std::size_t length = std::min(reason.size(), error_size - 1);
  std::memcpy(error, reason.data(), length);
  error[length] = '\0';
  return nullptr;
}

std::uint32_t pick(void* self, const nfsteer_flow* flow, nfsteer_context* context) {
  // The same bytes, of both: nfsteer_random_next() and core::Random continue each other.
  const auto& key = *reinterpret_cast<const core::FlowKey*>(flow);
  core::PickContext own{*reinterpret_cast<core::Random*>(context->random), context->now_ns, context->worker};
  return static_cast<const PythonPolicy*>(self)->pick(key, own);
}

void destroy(void* self) {
  if (!WorkerLock::is_possible()) return;  // the process ends, and its memory with it
  const WorkerLock lock;
  delete static_cast<PythonPolicy*>(self);
}

void tick(void* self, std::uint64_t now_ns) {
  static_cast<PythonPolicy*>(self)->tick(now_ns);
}

}  // namespace

const nfsteer_policy* c_interface() {
  static constexpr nfsteer_policy kInterface{
      .abi = NFSTEER_POLICY_ABI,
      .struct_size = sizeof(nfsteer_policy),
      .name = "python",
      .flags = NFSTEER_USES_LIVE,  // which classes read it is not known before they are loaded
      .reserved = 0,
      .create = create,
      .pick = pick,
      .destroy = destroy,
      .tick = tick,
  };
  return &kInterface;
}

}  // namespace nfsteer::python
