#include "api/policies.hpp"

#include <string>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "policy/catalogue.hpp"

namespace nfsteer::api {
namespace {

namespace json = boost::json;

json::object json_of(const policy::OptionInfo& option) {
  return {{"name", option.name},
          {"summary", option.summary},
          {"min", option.min},
          {"max", option.max},
          {"default", option.usual}};
}

json::object json_of(const policy::PolicyInfo& info) {
  json::array options;
  for (const policy::OptionInfo& each : info.options)
    options.push_back(json_of(each));
  const policy::Contract& contract = info.contract;
  return {{"name", info.name},
          {"alias", info.alias},
          {"summary", info.summary},
          {"contract",
           {{"proportional", contract.proportional},
            {"by_flow", contract.by_flow},
            {"order_independent", contract.order_independent},
            {"minimal_disruption", contract.minimal_disruption},
            {"uses_live", contract.uses_live}}},
          {"options", std::move(options)}};
}

}  // namespace

HttpResponse get_policies(const ApiCall& /*call*/) {
  json::array policies;
  for (const policy::PolicyInfo& each : policy::catalogue())
    policies.push_back(json_of(each));
  return {200, json::serialize(json::object{{"policies", std::move(policies)}})};
}

}  // namespace nfsteer::api
