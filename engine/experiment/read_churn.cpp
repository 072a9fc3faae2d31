// What changes while flows come.
#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "config/backend_text.hpp"
#include "config/config.hpp"
#include "config/fields.hpp"
#include "config/readers.hpp"
#include "config/validate_parts.hpp"
#include "experiment/scenario_reader.hpp"
#include "experiment/values.hpp"

namespace nfsteer::experiment {
namespace {

using config::Field;
using config::Place;
using config::RawValue;
using core::Result;
using lab::Action;
using lab::Change;

constexpr Field<Change> kChangeFields[] = {
    {"at",
     [](const Place& place, Change& change) {
       return config::store(read_time(place, 0, kTimeMax, "write the time since the beginning"), change.at);
     }},
    {"do",
     [](const Place& place, Change& change) {
       return config::store(config::read_choice(place, {Action::add, Action::remove, Action::activate,
                                                        Action::drain, Action::maintenance, Action::weight,
                                                        Action::fail, Action::recover, Action::slow}),
                            change.action);
     }},
    {"backend",  // what it is depends on what is done: see read_backend()
     [](const Place& /*place*/, Change& /*change*/) { return Result<void>(); }},
    {"weight",
     [](const Place& place, Change& change) {
       return config::store(config::read_number(place, 0, core::kWeightMax, "write the new weight"),
                            change.weight);
     }},
    {"factor",
     [](const Place& place, Change& change) {
       return config::store(read_decimal(place, 0.001, 1000, "write what service times are multiplied by"),
                            change.factor.emplace());
     }},
    {"rtt",
     [](const Place& place, Change& change) {
       return config::store(read_times(place, lab::Shape::constant), change.rtt.emplace());
     }},
};

// ADDRESS or ADDRESS:PORT, as in the short form of a backend.
Result<lab::Endpoint> read_endpoint(const Place& place) {
  constexpr std::string_view kMend = "write ADDRESS or ADDRESS:PORT, as it is among the backends";
  if (const auto text = config::read_text(place, kMend); !text) return tl::unexpected(text.error());
  const auto map = config::expand_backend(place);
  if (!map) return tl::unexpected(map.error());
  if (map->children.size() > (map->find("port") != nullptr ? 2 : 1))
    return place.fail(config::quoted(place.value().text) + " is more than an address", std::string(kMend));
  core::Backend backend;
  const Place fields = place.instead(*map);
  for (const RawValue& field : map->children)
    if (auto read = config::read_backend_field(fields.field(field), backend); !read)
      return tl::unexpected(read.error());
  return lab::endpoint_of(backend);
}

Result<void> read_backend(const Place& place, const lab::Server& base, Change& change) {
  const Place backend = place.field("backend");
  if (change.action != Action::add) return config::store(read_endpoint(backend), change.backend);
  auto server = read_server(backend, base);
  if (!server) return tl::unexpected(server.error());
  change.backend = lab::endpoint_of(server->backend);
  change.server = *std::move(server);
  return {};
}

// The fields that the action has beside its backend, and no others.
Result<void> check_belongings(const Place& place, Action action) {
  struct Owner {
    std::string_view field;
    Action action;
  };
  for (const auto& [field, owner] :
       {Owner{"weight", Action::weight}, Owner{"factor", Action::slow}, Owner{"rtt", Action::slow}}) {
    const RawValue* given = place.value().find(field);
    if (given != nullptr && owner != action)
      return place.field(*given).fail(
          fmt::format("belongs to do: {}", to_string(owner)),
          action == Action::add ? "write it as a field of the backend" : "leave it out");
  }
  if (action == Action::weight) return config::require(place, "weight", "add weight: N");
  const auto& value = place.value();
  if (action == Action::slow && value.find("factor") == nullptr && value.find("rtt") == nullptr)
    return place.fail("\"factor\" is missing", "add factor: N, or rtt: TIME, or both");
  return {};
}

Result<Change> read_change(const Place& place, const lab::Server& base) {
  Change change;
  if (auto read = config::read_fields(place, kChangeFields, change, "write a map with at, do and backend");
      !read)
    return tl::unexpected(read.error());
  for (const auto& [field, mend] : {std::pair{"at", "add at: TIME"}, std::pair{"do", "add do: ACTION"},
                                    std::pair{"backend", "add backend: ADDRESS"}})
    if (auto has = config::require(place, field, mend); !has) return tl::unexpected(has.error());
  if (auto good = check_belongings(place, change.action); !good) return tl::unexpected(good.error());
  if (auto read = read_backend(place, base, change); !read) return tl::unexpected(read.error());
  return change;
}

// Whether each names a backend that is there at its time. `lines`: where each change stands in the list.
Result<void> check_order(const Place& list, const std::vector<std::pair<Change, std::size_t>>& changes,
                         const lab::Scenario& scenario) {
  std::set<lab::Endpoint> present;
  for (const lab::Server& each : scenario.servers)
    present.insert(lab::endpoint_of(each.backend));
  for (const auto& [change, index] : changes) {
    const Place item = list.item(index);
    const std::string name = core::endpoint_text(change.backend.address, change.backend.port);
    const bool is_present = present.contains(change.backend);
    if (change.action == Action::add ? is_present : !is_present)
      return item.field("backend").fail(
          name + (is_present ? " is a backend already" : " is no backend at that time"),
          is_present ? "remove it first, or change its weight or state"
                     : "name one of the scenario's, or add it first");
    if (change.action == Action::add && change.backend.address.family() != scenario.vip.family())
      return item.field("backend").fail(name + " is not of the VIP's family", "use backends of that family");
    if (change.action == Action::add) present.insert(change.backend);
    if (change.action == Action::remove) present.erase(change.backend);
  }
  return {};
}

}  // namespace

Result<void> read_churn(const Place& document, const lab::Server& base, lab::Scenario& scenario) {
  const RawValue* field = document.value().find("churn");
  if (field == nullptr) return {};
  const Place list = document.field(*field);
  if (auto good = config::expect_list(list, kChangesMax, "write a list of changes"); !good) return good;
  std::vector<std::pair<Change, std::size_t>> changes;
  for (std::size_t i = 0; i < list.value().children.size(); ++i) {
    auto change = read_change(list.item(i), base);
    if (!change) return tl::unexpected(change.error());
    changes.emplace_back(*std::move(change), i);
  }
  std::ranges::stable_sort(changes, {}, [](const auto& each) { return each.first.at; });
  if (auto good = check_order(list, changes, scenario); !good) return good;
  for (auto& [change, index] : changes)
    scenario.churn.push_back(std::move(change));
  return {};
}

Result<void> read_churn_script(const std::string& text, const std::string& file, const lab::Server& base,
                               lab::Scenario& scenario) {
  const auto document = read_values(text, file, "write at least `churn: []`");
  if (!document) return tl::unexpected(document.error());
  const Place place(*document, file);
  struct Nothing {};
  constexpr Field<Nothing> kFields[] = {
      {"churn", [](const Place& /*place*/, Nothing& /*into*/) { return Result<void>(); }}};
  Nothing nothing;
  if (auto read = config::read_fields(place, kFields, nothing, "write churn: and a list of changes"); !read)
    return read;
  if (auto has = config::require(place, "churn", "add churn: and a list of changes"); !has) return has;
  return read_churn(place, base, scenario);
}

}  // namespace nfsteer::experiment
