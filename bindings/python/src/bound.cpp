#include "bound.hpp"

#include <pybind11/stl.h>

#include <cstdint>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "interpreter_lock.hpp"
#include "python_policy.hpp"

namespace nfsteer::python {
namespace {

namespace py = pybind11;

class PythonPicker final : public policy::Policy {
 public:
  explicit PythonPicker(std::unique_ptr<PythonPolicy> policy) : policy_(std::move(policy)) {}
  ~PythonPicker() override {
    if (!WorkerLock::is_possible()) {
      static_cast<void>(policy_.release());  // the process ends, and its memory with it
      return;
    }
    const WorkerLock lock;
    policy_.reset();
  }
  PythonPicker(const PythonPicker&) = delete;
  PythonPicker& operator=(const PythonPicker&) = delete;

  // A failed pick is an index that no backend has: for who asks, as from any policy, a fault.
  std::optional<std::uint32_t> pick(const core::FlowKey& flow,
                                    core::PickContext& context) const noexcept override {
    const std::uint32_t index = policy_->pick(flow, context);
    return index == NFSTEER_NO_BACKEND ? std::nullopt : std::optional(index);
  }
  bool uses_live() const noexcept override { return policy_->uses_live(); }
  void tick(std::uint64_t now_ns) const noexcept override { policy_->tick(now_ns); }

 private:
  std::unique_ptr<PythonPolicy> policy_;
};

std::vector<Backend> backends_of(const policy::BuildInput& input) {
  std::vector<Backend> backends;
  for (std::size_t index = 0; index < input.backends.size(); ++index) {
    const core::Backend& each = input.backends[index];
    Backend& made = backends.emplace_back();
    made.address = each.address;
    made.port = each.port;
    made.weight = each.weight;
    made.data = each.data;
    made.live = input.live.empty() ? nullptr : input.live[index];
  }
  return backends;
}

// A policy over backends that are not those of an engine, for trying it out.
class BoundPolicy {
 public:
  BoundPolicy(py::object given, const std::vector<Backend>& backends, std::uint64_t seed)
      : random_(seed), policy_(std::move(given), "", backends, 1) {}

  std::optional<std::uint32_t> pick(const core::FlowKey& flow) {
    core::PickContext context{random_};
    const std::uint32_t index = policy_.pick(flow, context);
    if (index == NFSTEER_FAILED) throw PolicyError(policy_.take_failure());
    return index == NFSTEER_NO_BACKEND ? std::nullopt : std::optional(index);
  }
  void refresh() { policy_.build(); }

 private:
  core::Random random_;
  PythonPolicy policy_;
};

}  // namespace

OwnPolicies::~OwnPolicies() {
  if (!WorkerLock::is_possible()) {
    for (auto& [name, object] : objects_)
      object.release();  // the process ends, and its memory with it
    return;
  }
  const WorkerLock lock;
  objects_.clear();
}

void OwnPolicies::add(const py::dict& named) {
  for (const auto& [name, object] : named)
    add(py::str(name), py::reinterpret_borrow<py::object>(object));
}

core::Result<std::shared_ptr<const policy::Policy>> OwnPolicies::build(
    const core::PolicySpec& spec, const policy::BuildInput& input) const {
  constexpr std::string_view kSuffix = ".py:";
  const auto suffix = spec.name.rfind(kSuffix);
  if (suffix == std::string::npos) return nullptr;
  const std::size_t colon = suffix + kSuffix.size() - 1;
  const WorkerLock lock;
  try {
    std::vector<Option> options;
    for (const core::PolicySpec::Option& each : spec.options)
      options.push_back({each.name, each.value});
    const auto found = objects_.find(spec.name);
    py::object given = found != objects_.end()
                           ? instance_of(found->second, options)
                           : load_policy(spec.name.substr(0, colon), spec.name.substr(colon + 1), options);
    return std::make_shared<const PythonPicker>(
        std::make_unique<PythonPolicy>(std::move(given), spec.name, backends_of(input), input.workers));
  } catch (const std::exception& error) {
    return core::usage_error(spec.name, error.what());
  }
}

void add_bound(py::module_& module) {
  using namespace py::literals;
  py::class_<BoundPolicy>(module, "BoundPolicy", "A policy over backends, to be tried out.")
      .def(py::init<py::object, std::vector<Backend>, std::uint64_t>(), "policy"_a, "backends"_a,
           "seed"_a = 1)
      .def("pick", &BoundPolicy::pick, "flow"_a,
           "the index of a backend, or None; raises what the policy does")
      .def("refresh", &BoundPolicy::refresh, "calls build() again");
}

}  // namespace nfsteer::python
