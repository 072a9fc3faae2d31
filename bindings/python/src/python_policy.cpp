#include "python_policy.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/service.hpp"
#include "interpreter_lock.hpp"
#include "policy/weighted_random.hpp"

namespace nfsteer::python {
namespace {

namespace py = pybind11;

py::module_ files() {
  return py::module_::import("nfsteer._files");
}

// Calls with the lock; an error of Python becomes one line.
template <typename Call>
auto told(Call call) {
  try {
    return call();
  } catch (const py::error_already_set& error) {
    throw PolicyError(describe(error));
  } catch (const py::cast_error& error) {
    throw PolicyError(error.what());
  }
}

PolicyTraits traits_of(const py::object& given) {
  return told([&] {
    const auto [is_per_flow, refresh_s] =
        files().attr("traits")(given).cast<std::pair<bool, std::optional<double>>>();
    return PolicyTraits{is_per_flow, refresh_s.value_or(0)};
  });
}

py::dict dict_of(const std::vector<Option>& options) {
  py::dict named;
  for (const Option& each : options)
    named[py::str(each.name)] = each.value;
  return named;
}

// The largest becomes the largest that a backend can have; no positive share becomes none.
std::uint32_t scaled(double weight, double most) {
  if (weight <= 0) return 0;
  return std::max(1U, static_cast<std::uint32_t>(std::lround(weight / most * core::kWeightMax)));
}

}  // namespace

std::string describe(const py::error_already_set& error) {
  try {
    if (error.trace()) PyException_SetTraceback(error.value().ptr(), error.trace().ptr());
    return files().attr("describe")(error.value()).cast<std::string>();
  } catch (const std::exception& second) {
    return fmt::format("an error that cannot be told: {}", second.what());
  }
}

py::object instance_of(const py::object& class_or_object, const std::vector<Option>& options) {
  return told([&] { return py::object(files().attr("instance_of")(class_or_object, dict_of(options))); });
}

py::object load_policy(const std::string& file, const std::string& class_name,
                       const std::vector<Option>& options) {
  return told([&] { return py::object(files().attr("load")(file, class_name, dict_of(options))); });
}

PythonPolicy::PythonPolicy(py::object given, std::string name, std::vector<Backend> backends,
                           std::uint32_t workers)
    : name_(std::move(name)),
      backends_(std::move(backends)),
      session_(std::make_shared<Session>()),
      traits_(traits_of(given)),
      given_(std::move(given)),
      published_(workers, traits_.refresh_s > 0) {
  session_->workers = workers;
  for (Backend& each : backends_) {
    each.index = static_cast<std::uint32_t>(&each - backends_.data());
    each.session = session_;
    has_usable_backend_ |= each.weight > 0;
  }
  if (traits_.is_per_flow) pick_ = told([&] { return py::object(given_.attr("pick")); });
  try {
    build();
  } catch (const PolicyError&) {
    session_->is_open = false;
    throw;
  }
}

PythonPolicy::~PythonPolicy() {
  session_->is_open = false;
}

void PythonPolicy::build() {
  if (!has_usable_backend_) return;  // every answer is known; policies need not think of it
  const auto built = told([&] { return py::object(given_.attr("build")(backends_)); });
  if (auto picker = picker_of(built)) {
    uses_live_ = picker->uses_live();
    published_.publish(std::move(picker));
  }
}

std::shared_ptr<const core::Picker> PythonPolicy::picker_of(const py::object& built) {
  if (built.is_none()) {
    if (traits_.is_per_flow) return nullptr;
    throw PolicyError(
        "build() returned None; return a Table, Weights or a built-in policy, or have `per_flow = True` in "
        "the "
        "class, which calls pick() in Python for each new flow");
  }
  if (traits_.is_per_flow)
    throw PolicyError(
        "build() returned something although the class has per_flow = True, which asks pick(); "
        "keep what build() makes in self, and return None");
  if (py::isinstance<Table>(built)) return picker_of(built.cast<const Table&>());
  if (py::isinstance<Weights>(built)) return picker_of(built.cast<const Weights&>());
  if (!py::isinstance<Builtin>(built))
    throw PolicyError(fmt::format("build() returned {}; return a Table, Weights or a built-in policy",
                                  std::string(py::repr(py::type::of(built)))));
  const auto& builtin = built.cast<const Builtin&>();
  if (builtin.session != session_)
    throw PolicyError(
        "build() returned a built-in policy that was not made from the backends it was called with");
  return builtin.picker;
}

std::shared_ptr<const core::Picker> PythonPolicy::picker_of(const Table& table) const {
  const std::vector<std::uint32_t>& entries = table.table->entries();
  for (std::size_t place = 0; place < entries.size(); ++place) {
    const std::uint32_t index = entries[place];
    if (index >= backends_.size())
      throw PolicyError(
          fmt::format("build() returned a Table whose entry {} is {}; there are {} backends, from 0", place,
                      index, backends_.size()));
    if (backends_[index].weight == 0)
      throw PolicyError(
          fmt::format("build() returned a Table whose entry {} is backend {}, of weight 0; leave "
                      "out backends whose weight is 0",
                      place, index));
  }
  return table.table;
}

std::shared_ptr<const core::Picker> PythonPolicy::picker_of(const Weights& weights) const {
  if (weights.weights.size() != backends_.size())
    throw PolicyError(fmt::format("build() returned {} Weights; there are {} backends",
                                  weights.weights.size(), backends_.size()));
  std::vector<double> usable(weights.weights);
  for (std::size_t index = 0; index < usable.size(); ++index)
    if (backends_[index].weight == 0) usable[index] = 0;
  const double most = *std::ranges::max_element(usable);
  if (most <= 0)
    throw PolicyError("build() returned Weights that are 0 for every backend that may take connections");
  std::vector<core::Backend> weighted(usable.size());
  for (std::size_t index = 0; index < usable.size(); ++index)
    weighted[index].weight = scaled(usable[index], most);
  return std::make_shared<const policy::WeightedRandom>(policy::BuildInput{weighted});
}

std::uint32_t PythonPolicy::pick(const core::FlowKey& flow, core::PickContext& context) const noexcept {
  if (!has_usable_backend_) return NFSTEER_NO_BACKEND;
  if (traits_.is_per_flow) return ask(flow, context);
  return published_.pick(flow, context).value_or(NFSTEER_NO_BACKEND);
}

std::uint32_t PythonPolicy::ask(const core::FlowKey& flow, core::PickContext& context) const noexcept {
  if (!WorkerLock::is_possible()) return NFSTEER_FAILED;
  const WorkerLock lock;
  const ContextScope scope(context);
  session_->now_ns.store(context.now_ns, std::memory_order_relaxed);
  try {
    return index_in(pick_(flow));
  } catch (const py::error_already_set& error) {
    // Finding the line takes longer than a decision may: once.
    if (failure_.empty()) fail(describe(error));
  } catch (const std::exception& error) {
    if (failure_.empty()) fail(error.what());
  }
  return NFSTEER_FAILED;
}

// Told here and now: a policy that fails often is set aside, and asked no more, before the next tick.
void PythonPolicy::fail(const std::string& reason) const {
  // While the reason was put into words, Python may have let another worker in.
  if (!failure_.empty()) return;
  failure_ = "pick() failed: " + reason;
  say(failure_);
}

std::uint32_t PythonPolicy::index_in(const py::object& answer) const {
  if (answer.is_none()) return NFSTEER_NO_BACKEND;
  if (PyLong_Check(answer.ptr()) == 0 || PyBool_Check(answer.ptr()) != 0)
    throw PolicyError(
        fmt::format("it returned {}; return the index of a backend, or None", std::string(py::repr(answer))));
  int overflow = 0;
  const long index = PyLong_AsLongAndOverflow(answer.ptr(), &overflow);
  if (overflow != 0 || index < 0 || static_cast<std::size_t>(index) >= backends_.size())
    throw PolicyError(fmt::format("it returned {}; there are {} backends, from 0",
                                  std::string(py::repr(answer)), backends_.size()));
  if (backends_[static_cast<std::size_t>(index)].weight == 0)
    throw PolicyError(fmt::format("it returned backend {}, of weight 0", index));
  return static_cast<std::uint32_t>(index);
}

void PythonPolicy::tick(std::uint64_t now_ns) noexcept {
  if (!WorkerLock::is_possible()) return;
  session_->now_ns.store(now_ns, std::memory_order_relaxed);
  if (const core::Picker* picker = published_.current()) picker->tick(now_ns);
  if (built_ns_ == 0) built_ns_ = now_ns;
  if (traits_.refresh_s > 0 && static_cast<double>(now_ns - built_ns_) >= traits_.refresh_s * 1e9) {
    built_ns_ = now_ns;
    refresh();
  }
}

void PythonPolicy::refresh() noexcept {
  const WorkerLock lock;
  std::string failure;
  try {
    build();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (!failure.empty() && failure != build_failure_)
    say(fmt::format("{}; what build() returned before stays", failure));
  build_failure_ = std::move(failure);
}

void PythonPolicy::say(const std::string& text) const {
  if (name_.empty()) return;
  const std::string line = fmt::format("nfsteer: policy {}: {}\n", name_, text);
  std::fputs(line.c_str(), stderr);
}

}  // namespace nfsteer::python
