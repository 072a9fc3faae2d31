// The policies of the catalogue for Python: nfsteer.builtin(), nfsteer.catalogue().
#include <pybind11/stl.h>

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/policy_spec.hpp"
#include "policy/catalogue.hpp"
#include "values.hpp"

namespace nfsteer::python {
namespace {

namespace py = pybind11;
using core::FlowKey;
using core::LiveBackend;

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): a worker's, for the time of one call
thread_local core::PickContext* context_now = nullptr;

// Answers with other numbers than the places in the list it was built from.
class RenumberedPicker final : public core::Picker {
 public:
  RenumberedPicker(std::shared_ptr<const core::Picker> picker, std::vector<std::uint32_t> numbers)
      : picker_(std::move(picker)), numbers_(std::move(numbers)) {}

  std::optional<std::uint32_t> pick(const FlowKey& flow, core::PickContext& context) const noexcept override {
    const auto place = picker_->pick(flow, context);
    return place && *place < numbers_.size() ? std::optional(numbers_[*place]) : std::nullopt;
  }
  bool uses_live() const noexcept override { return picker_->uses_live(); }
  void tick(std::uint64_t now_ns) const noexcept override { picker_->tick(now_ns); }

 private:
  std::shared_ptr<const core::Picker> picker_;
  std::vector<std::uint32_t> numbers_;
};

// The one life that all of them belong to.
std::shared_ptr<Session> session_of(const std::vector<Backend>& backends) {
  const std::shared_ptr<Session> session = backends.empty() ? nullptr : backends.front().session;
  for (const Backend& each : backends)
    if (each.session != session || (session != nullptr && !session->is_open))
      throw PolicyError("builtin(): the backends are not those of one policy, as it stands");
  return session;
}

std::optional<std::uint32_t> ask(Builtin& builtin, const FlowKey& flow) {
  if (builtin.session != nullptr && !builtin.session->is_open)
    throw PolicyError(fmt::format("{}: the policy that it was made for has been replaced", builtin.spec));
  if (context_now != nullptr) return builtin.picker->pick(flow, *context_now);
  core::PickContext context{builtin.random};
  return builtin.picker->pick(flow, context);
}

py::dict dict_of(const policy::PolicyInfo& info) {
  py::list options;
  for (const policy::OptionInfo& each : info.options) {
    using namespace py::literals;
    options.append(py::dict("name"_a = each.name, "summary"_a = each.summary, "min"_a = each.min,
                            "max"_a = each.max, "default"_a = each.usual));
  }
  const policy::Contract& contract = info.contract;
  py::dict row;
  row["name"] = info.name;
  row["alias"] = info.alias;
  row["summary"] = info.summary;
  row["options"] = options;
  row["proportional"] = contract.proportional;
  row["by_flow"] = contract.by_flow;
  row["order_independent"] = contract.order_independent;
  row["minimal_disruption"] = contract.minimal_disruption;
  row["uses_live"] = contract.uses_live;
  return row;
}

py::list list_catalogue() {
  py::list rows;
  for (const policy::PolicyInfo& each : policy::catalogue())
    rows.append(dict_of(each));
  return rows;
}

}  // namespace

ContextScope::ContextScope(core::PickContext& context) : before_(std::exchange(context_now, &context)) {}
ContextScope::~ContextScope() {
  context_now = before_;
}

Builtin make_builtin(const std::string& spec, const std::vector<Backend>& backends, std::uint64_t seed) {
  const auto parsed = core::parse_policy_spec(spec);
  if (!parsed) throw PolicyError(fmt::format("policy \"{}\" has an option without a value", spec));
  if (core::is_policy_file(parsed->name))
    throw PolicyError(fmt::format("policy \"{}\" is no built-in one", spec));
  const auto checked = policy::check(*parsed);
  if (!checked) {
    const policy::SpecError& wrong = checked.error();
    throw PolicyError(fmt::format("policy {}{}{}; {}", wrong.option, wrong.option.empty() ? "" : ": ",
                                  wrong.reason, wrong.mend));
  }
  const std::shared_ptr<Session> session = session_of(backends);
  std::vector<core::Backend> values;
  std::vector<LiveBackend*> live;
  std::vector<std::uint32_t> numbers;
  bool is_renumbered = false;
  for (const Backend& each : backends) {
    is_renumbered |= session != nullptr && each.index != numbers.size();
    numbers.push_back(each.index);
    core::Backend& value = values.emplace_back();
    value.address = each.address;
    value.port = each.port;
    value.weight = each.weight;
    value.data = each.data;
    // Built-ins read live state only; the interface has it writable for the engine.
    if (each.live_now() != nullptr) live.push_back(const_cast<LiveBackend*>(each.live_now()));
  }
  if (live.size() != values.size()) live.clear();
  auto picker = policy::build(*checked, {values, live, session == nullptr ? 1 : session->workers});
  if (is_renumbered) picker = std::make_shared<const RenumberedPicker>(std::move(picker), std::move(numbers));
  return {core::to_string(*checked), std::move(picker), session, core::Random(seed)};
}

void add_builtins(py::module_& module) {
  using namespace py::literals;
  py::class_<Builtin>(module, "Builtin", "A policy of the catalogue over backends.")
      .def("pick", &ask, "flow"_a, "the backend's index, or None")
      .def_readonly("spec", &Builtin::spec);
  module.def("builtin", &make_builtin, "spec"_a, "backends"_a, "seed"_a = 1,
             "A policy of the catalogue: builtin(\"maglev,table_size=5003\", backends)");
  module.def("catalogue", &list_catalogue, "The built-in policies, as dictionaries");
}

}  // namespace nfsteer::python
