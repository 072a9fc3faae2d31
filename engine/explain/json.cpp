#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "explain/explain.hpp"

namespace nfsteer::explain {
namespace {

namespace json = boost::json;

json::object json_of(const ServiceCandidate& each) {
  return {{"service", each.name},
          {"protocol", core::to_string(each.protocol)},
          {"port", each.port},
          {"takes", each.takes},
          {"reason", each.reason}};
}

json::object json_of(const BackendChance& each) {
  return {{"address", each.backend.address.to_string()},
          {"port", each.port},
          {"weight", each.backend.weight},
          {"effective_weight", each.effective_weight},
          {"backup", each.backend.backup},
          {"state", core::to_string(each.state)},
          {"probability", each.probability},
          {"reason", each.reason}};
}

json::object json_of(const AppliedRule& each) {
  json::object rule{{"rule", each.text}, {"probability", each.probability}};
  if (!each.note.empty()) rule["note"] = each.note;
  return rule;
}

json::object json_of(const PacketStep& each);

template <typename Items>
json::array array_of(const Items& items) {
  json::array array;
  array.reserve(items.size());
  for (const auto& item : items)
    array.push_back(json_of(item));
  return array;
}

json::object json_of(const PacketStep& each) {
  return {{"place", each.place},
          {"text", each.text},
          {"otherwise", each.otherwise},
          {"rules", array_of(each.rules)}};
}

}  // namespace

json::value to_json(const Explanation& explanation) {
  const core::FlowKey& flow = explanation.question.flow;
  json::object answer{{"protocol", protocol_text(flow)},
                      {"source", source_text(flow)},
                      {"destination", destination_text(flow)},
                      {"from_this_host", explanation.question.from_this_host},
                      {"candidates", array_of(explanation.candidates)},
                      {"service", nullptr}};
  if (!explanation.service) return answer;
  const core::Service& service = *explanation.service;
  answer["service"] = service.name;
  answer["mode"] = {{"name", core::to_string(service.mode)}, {"meaning", explanation.mode_meaning}};
  answer["policy"] = {{"name", core::to_string(service.policy)}, {"meaning", explanation.policy_meaning}};
  answer["on_no_backend"] = core::to_string(service.on_no_backend);
  answer["backends"] = array_of(explanation.backends);
  answer["choice"] = nullptr;
  if (const auto& choice = explanation.choice)
    answer["choice"] = {{"backend", choice->backend}, {"reason", choice->reason}};
  answer["no_backend"] = nullptr;
  if (!explanation.no_backend.empty()) answer["no_backend"] = explanation.no_backend;
  answer["notes"] = json::array(explanation.notes.begin(), explanation.notes.end());
  answer["steps"] = array_of(explanation.steps);
  return answer;
}

}  // namespace nfsteer::explain
