#include "values.hpp"

#include <arpa/inet.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/availability.hpp"
#include "core/policy_spec.hpp"
#include "policy/catalogue.hpp"

namespace nfsteer::python {
namespace {

namespace py = pybind11;
using core::FlowKey;
using core::LiveBackend;

// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): a worker's, for the time of one call
thread_local core::PickContext* context_now = nullptr;

core::IpAddress address_in(const py::object& text) {
  const std::string given = py::str(text);  // ipaddress.IPv4Address and its like, too
  const auto address = core::IpAddress::parse(given);
  if (!address) throw PolicyError(fmt::format("\"{}\" is no IPv4 or IPv6 address", given));
  return *address;
}

std::uint8_t protocol_in(const py::object& given) {
  if (py::isinstance<py::int_>(given)) return given.cast<std::uint8_t>();
  const std::string name = py::str(given);
  constexpr std::pair<std::string_view, std::uint8_t> kNames[] = {
      {"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmpv6", 58}, {"sctp", 132}};
  for (const auto& [known, number] : kNames)
    if (known == name) return number;
  throw PolicyError(
      fmt::format("protocol \"{}\": give its IANA number, or tcp, udp, icmp, icmpv6, sctp", name));
}

FlowKey make_flow(const py::object& source, const py::object& destination, std::uint16_t source_port,
                  std::uint16_t destination_port, const py::object& protocol) {
  const core::IpAddress from = address_in(source);
  const core::IpAddress to = address_in(destination);
  if (from.family() != to.family()) throw PolicyError("source and destination are not of one family");
  FlowKey flow;
  std::ranges::copy(from.bytes(), flow.source.begin());
  std::ranges::copy(to.bytes(), flow.destination.begin());
  flow.source_port = source_port;
  flow.destination_port = destination_port;
  flow.protocol = protocol_in(protocol);
  flow.family = from.family();
  return flow;
}

std::string text_of(const FlowKey& flow) {
  return fmt::format("Flow({} -> {}, protocol {})",
                     core::endpoint_text(flow.source_address(), flow.source_port),
                     core::endpoint_text(flow.destination_address(), flow.destination_port), flow.protocol);
}

std::string text_of(const Backend& backend) {
  return fmt::format("Backend({}: {}, weight {})", backend.index,
                     core::endpoint_text(backend.address, backend.port), backend.weight);
}

template <typename Value, typename Read>
Value read_live(const Backend& backend, Value unknown, Read read) {
  const LiveBackend* live = backend.live_now();
  return live == nullptr ? unknown : read(*live);
}

std::string state_of(const Backend& backend) {
  const auto state =
      read_live(backend, std::uint8_t{0}, [](const LiveBackend& live) { return live.state(); });
  return std::string(core::to_string(static_cast<core::BackendState>(state)));
}

double latency_of(const Backend& backend) {
  return read_live(backend, 0.0, [&](const LiveBackend& live) {
    return live.latency_us(backend.session->now_ns.load(std::memory_order_relaxed));
  });
}

FlowTable::By by_in(const std::string& text) {
  if (text == "flow") return FlowTable::By::flow;
  if (text == "source") return FlowTable::By::source;
  if (text == "random") return FlowTable::By::random;
  throw PolicyError(fmt::format("Table: by=\"{}\" is unknown; use flow, source or random", text));
}

std::string_view text_of(FlowTable::By by) {
  return by == FlowTable::By::flow ? "flow" : by == FlowTable::By::source ? "source" : "random";
}

std::uint32_t entry_in(py::handle item, std::size_t place) {
  // Backends stand for themselves; whatever counts as an index does (numpy's integers), but no truth value.
  if (py::isinstance<Backend>(item)) return item.cast<const Backend&>().index;
  const auto number =
      PyBool_Check(item.ptr()) ? py::object() : py::reinterpret_steal<py::object>(PyNumber_Index(item.ptr()));
  PyErr_Clear();
  const unsigned long value = number ? PyLong_AsUnsignedLong(number.ptr()) : 0;
  if (!number || PyErr_Occurred() != nullptr || value > UINT32_MAX) {
    PyErr_Clear();
    throw PolicyError(
        fmt::format("Table: entry {} is {}, which is no index of a backend; indices are whole "
                    "numbers from 0",
                    place, std::string(py::repr(item))));
  }
  return static_cast<std::uint32_t>(value);
}

Table make_table(const py::iterable& indices, const std::string& by, std::uint64_t seed) {
  std::vector<std::uint32_t> entries;
  for (const py::handle item : indices) {
    if (entries.size() == kTableEntriesMax)
      throw PolicyError(fmt::format("Table: has more than {} entries", kTableEntriesMax));
    entries.push_back(entry_in(item, entries.size()));
  }
  if (entries.empty()) throw PolicyError("Table: is empty; give it one entry at least");
  return {std::make_shared<const FlowTable>(std::move(entries), by_in(by), seed)};
}

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

void add_flow(py::module_& module) {
  using namespace py::literals;
  py::class_<FlowKey>(module, "Flow", "The first packet's 5-tuple, as the client wrote it.")
      .def(py::init(&make_flow), "source"_a, "destination"_a, "source_port"_a = 0, "destination_port"_a = 0,
           "protocol"_a = "tcp")
      .def_property_readonly("source", [](const FlowKey& flow) { return flow.source_address().to_string(); })
      .def_property_readonly("destination",
                             [](const FlowKey& flow) { return flow.destination_address().to_string(); })
      .def_readonly("source_port", &FlowKey::source_port)
      .def_readonly("destination_port", &FlowKey::destination_port)
      .def_readonly("protocol", &FlowKey::protocol, "the IANA number")
      .def_property_readonly(
          "family", [](const FlowKey& flow) { return static_cast<int>(flow.family); }, "4 or 6")
      .def("hash", &FlowKey::hash, "seed"_a = 0, "64 uniform bits; equal for equal flows and seeds")
      .def("__hash__", [](const FlowKey& flow) { return flow.hash(0) >> 1; })
      .def(
          "__eq__", [](const FlowKey& one, const FlowKey& other) { return one == other; }, py::is_operator())
      .def("__repr__", [](const FlowKey& flow) { return text_of(flow); });
}

void add_backend(py::module_& module) {
  using namespace py::literals;
  const auto make = [](const py::object& address, std::uint16_t port, std::uint32_t weight, std::string data,
                       std::uint32_t index) {
    return Backend{address_in(address), port, weight, std::move(data), index};
  };
  py::class_<Backend>(module, "Backend", "A backend of a service, and what is known of it now.")
      .def(py::init(make), "address"_a, "port"_a = 0, "weight"_a = 1, "data"_a = "", "index"_a = 0)
      .def_property_readonly("address", [](const Backend& backend) { return backend.address.to_string(); })
      .def_readonly("port", &Backend::port, "0: the port that the client asked for")
      .def_readonly("weight", &Backend::weight,
                    "effective: health, draining and slow start are in it; 0: must not be picked")
      .def_readonly("data", &Backend::data, "`data` of the configuration")
      .def_readonly("index", &Backend::index, "in the service's list")
      .def_property_readonly(
          "live", [](const Backend& backend) { return backend.live_now() != nullptr; },
          "whether the properties below are known")
      .def_property_readonly("state", &state_of)
      .def_property_readonly("active",
                             [](const Backend& backend) {
                               return read_live(backend, 0U, [](const LiveBackend& l) { return l.active(); });
                             })
      .def_property_readonly("pending",
                             [](const Backend& backend) {
                               return read_live(backend, 0U,
                                                [](const LiveBackend& l) { return l.pending(); });
                             })
      .def_property_readonly("latency_us", &latency_of)
      .def("__repr__", [](const Backend& backend) { return text_of(backend); });
}

void add_answers(py::module_& module) {
  using namespace py::literals;
  py::class_<Table>(module, "Table", "Backend indices; each flow finds its entry by `by`.")
      .def(py::init(&make_table), "indices"_a, "by"_a = "flow", "seed"_a = 0)
      .def_property_readonly("indices", [](const Table& table) { return table.table->entries(); })
      .def_property_readonly("by", [](const Table& table) { return text_of(table.table->by()); })
      .def_property_readonly("seed", [](const Table& table) { return table.table->seed(); })
      .def("__len__", [](const Table& table) { return table.table->entries().size(); });
  py::class_<Weights>(module, "Weights", "Weighted random with these weights, one for each backend.")
      .def(py::init(&make_weights), "weights"_a)
      .def_readonly("weights", &Weights::weights);
  py::class_<Builtin>(module, "Builtin", "A policy of the catalogue over backends.")
      .def("pick", &ask, "flow"_a, "the backend's index, or None")
      .def_readonly("spec", &Builtin::spec);
  module.def("builtin", &make_builtin, "spec"_a, "backends"_a, "seed"_a = 1,
             "A policy of the catalogue: builtin(\"maglev,table_size=5003\", backends)");
  module.def("catalogue", &list_catalogue, "The built-in policies, as dictionaries");
}

}  // namespace

ContextScope::ContextScope(core::PickContext& context) : before_(std::exchange(context_now, &context)) {}
ContextScope::~ContextScope() {
  context_now = before_;
}

Weights make_weights(std::vector<double> weights) {
  for (std::size_t index = 0; index < weights.size(); ++index)
    if (!std::isfinite(weights[index]) || weights[index] < 0)
      throw PolicyError(
          fmt::format("Weights: entry {} is {}; weights are numbers from 0", index, weights[index]));
  return {std::move(weights)};
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

void add_values(py::module_& module) {
  add_flow(module);
  add_backend(module);
  add_answers(module);
}

}  // namespace nfsteer::python
