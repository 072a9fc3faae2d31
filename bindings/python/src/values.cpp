#include "values.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/availability.hpp"

namespace nfsteer::python {
namespace {

namespace py = pybind11;
using core::FlowKey;
using core::LiveBackend;

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
}

}  // namespace

Weights make_weights(std::vector<double> weights) {
  for (std::size_t index = 0; index < weights.size(); ++index)
    if (!std::isfinite(weights[index]) || weights[index] < 0)
      throw PolicyError(
          fmt::format("Weights: entry {} is {}; weights are numbers from 0", index, weights[index]));
  return {std::move(weights)};
}

void add_values(py::module_& module) {
  add_flow(module);
  add_backend(module);
  add_answers(module);
  add_builtins(module);
}

}  // namespace nfsteer::python
